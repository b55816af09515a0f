<?php

declare(strict_types=1);

namespace Shop;

/** One line a happening, on standard error. */
final class Log
{
    public static function line(string $text): void
    {
        $program = basename($_SERVER['SCRIPT_NAME'] ?? 'shop', '.php');
        fprintf(fopen('php://stderr', 'w'), "%s %s[%d] %s\n", date('H:i:s'), $program, getmypid(), $text);
    }
}
