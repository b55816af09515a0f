<?php

declare(strict_types=1);

namespace Shop;

/**
 * Two files of one order a line: what was placed, and what the broker has confirmed. The trial
 * compares them with the database.
 */
final class Ledger
{
    /** @var resource */
    private $placed;

    /** @var resource */
    private $confirmed;

    public function __construct(string $directory, string $writer)
    {
        $this->placed = fopen("$directory/placed.$writer", 'a');
        $this->confirmed = fopen("$directory/confirmed.$writer", 'a');
    }

    public function placed(Order $order): void
    {
        fwrite($this->placed, $order->toJson() . "\n");
    }

    public function confirmed(Order $order): void
    {
        fwrite($this->confirmed, $order->toJson() . "\n");
    }

    /**
     * All that was written by anybody.
     *
     * @param string $kind `placed` or `confirmed`
     * @return array<string, Order> by id
     */
    public static function read(string $directory, string $kind): array
    {
        $orders = [];
        foreach (glob("$directory/$kind.*") as $file) {
            foreach (file($file, FILE_IGNORE_NEW_LINES) as $line) {
                $order = Order::fromJson($line);
                $orders[$order->id] = $order;
            }
        }
        return $orders;
    }
}
