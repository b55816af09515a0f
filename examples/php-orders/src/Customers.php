<?php

declare(strict_types=1);

namespace Shop;

/** People who order at random, for trying out the shop. */
final class Customers
{
    private const NUMBER = 200;

    /** @return array<string, mixed> what somebody enters into the form, with a fresh order id */
    public static function order(): array
    {
        $number = random_int(1, self::NUMBER);
        return [
            'id' => Order::newId(),
            'email' => "customer$number@example.org",
            'name' => "Customer $number",
            'country' => self::country(),
            'express' => random_int(1, 4) === 1 ? '1' : '',
            'product' => array_rand(Order::PRICES),
            'quantity' => (string) random_int(1, 5),
        ];
    }

    public static function country(): string
    {
        return Order::COUNTRIES[array_rand(Order::COUNTRIES)];
    }
}
