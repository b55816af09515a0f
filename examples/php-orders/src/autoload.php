<?php
/** Loads php-amqplib from Debian's package, and the shop's classes: one class, one file. */

declare(strict_types=1);

// With Composer instead: require 'vendor/autoload.php' (package php-amqplib/php-amqplib).
require_once 'PhpAmqpLib/autoload.php';

spl_autoload_register(function (string $class): void {
    $file = __DIR__ . '/' . substr($class, strlen('Shop\\')) . '.php';
    if (str_starts_with($class, 'Shop\\') && is_file($file)) {
        require $file;
    }
});
