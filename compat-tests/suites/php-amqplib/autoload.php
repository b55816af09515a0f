<?php
// The classes of php-amqplib, of its tests, and of phpseclib as Debian installs it.

require_once '/usr/share/php/phpseclib/autoload.php';

spl_autoload_register(static function (string $class): void {
    $folders = [
        'PhpAmqpLib\\Tests\\' => __DIR__ . '/../tests/',
        'PhpAmqpLib\\' => __DIR__ . '/../PhpAmqpLib/',
    ];
    foreach ($folders as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            $file = $folder . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
            if (is_file($file)) {
                require_once $file;
            }
            return;
        }
    }
});
