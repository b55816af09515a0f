<?php

declare(strict_types=1);

namespace Shop;

/** An order as it travels through the broker: placed once, never changed. */
final class Order
{
    /** What the shop sells, in cents. */
    public const PRICES = ['teapot' => 2900, 'cup' => 850, 'kettle' => 4250, 'tray' => 1600, 'samovar' => 18900];

    public const COUNTRIES = ['de', 'es', 'fr', 'it', 'pl'];

    private const QUANTITY_MAX = 20;

    private function __construct(
        public readonly string $id,
        public readonly string $email,
        public readonly string $name,
        public readonly string $country,
        public readonly bool $express,
        public readonly string $product,
        public readonly int $quantity,
        public readonly int $totalCents,
        public readonly string $placedAt,
    ) {
    }

    /** A fresh id: 128 random bits in hexadecimal. */
    public static function newId(): string
    {
        return bin2hex(random_bytes(16));
    }

    /**
     * An order from what a customer entered.
     *
     * @param array<string, mixed> $fields id, email, name, country, express, product, quantity
     * @throws InvalidOrder
     */
    public static function place(array $fields): self
    {
        $text = fn (string $field): string => is_string($fields[$field] ?? null) ? trim($fields[$field]) : '';
        $product = $text('product');
        $quantity = filter_var($fields['quantity'] ?? null, FILTER_VALIDATE_INT);
        $problem = match (true) {
            preg_match('/^[0-9a-f]{32}$/', $text('id')) !== 1 => 'the id is not 32 hexadecimal digits',
            filter_var($text('email'), FILTER_VALIDATE_EMAIL) === false => 'the e-mail address is not valid',
            $text('name') === '' || strlen($text('name')) > 190 => 'the name is missing or too long',
            !in_array($text('country'), self::COUNTRIES, true) => 'we do not deliver there',
            !isset(self::PRICES[$product]) => 'we do not sell that',
            $quantity === false || $quantity < 1 || $quantity > self::QUANTITY_MAX
                => 'the quantity is not from 1 to ' . self::QUANTITY_MAX,
            default => null,
        };
        if ($problem !== null) {
            throw new InvalidOrder($problem);
        }
        return new self(
            $text('id'),
            strtolower($text('email')),
            $text('name'),
            $text('country'),
            (bool) ($fields['express'] ?? false),
            $product,
            $quantity,
            $quantity * self::PRICES[$product],
            (new \DateTimeImmutable('now', new \DateTimeZone('UTC')))->format('Y-m-d H:i:s.v'),
        );
    }

    /** `order.created.<country>`, with `.express` behind it for those in a hurry. */
    public function routingKey(): string
    {
        return "order.created.$this->country" . ($this->express ? '.express' : '');
    }

    public function toJson(): string
    {
        return json_encode(get_object_vars($this), JSON_THROW_ON_ERROR);
    }

    /** @throws InvalidOrder when the text is not what toJson() makes */
    public static function fromJson(string $json): self
    {
        try {
            return new self(...json_decode($json, true, 4, JSON_THROW_ON_ERROR));
        } catch (\Error | \JsonException $problem) {
            throw new InvalidOrder($problem->getMessage(), 0, $problem);
        }
    }
}
