<?php
// Symfony's source has one directory for each part of a name, and Debian's PSR packages have so.
spl_autoload_register(function (string $class): void {
    $roots = ['Symfony\\' => dirname(__DIR__).'/src/', 'Psr\\' => '/usr/share/php/'];
    foreach ($roots as $prefix => $root) {
        $path = $root.strtr($class, '\\', '/').'.php';
        if (str_starts_with($class, $prefix) && is_file($path)) {
            require $path;
        }
    }
});
require dirname(__DIR__).'/src/Symfony/Contracts/Deprecation/function.php';
