<?php

declare(strict_types=1);

namespace Shop;

/** The table `notifications`: what customers were told, and how often the broker asked for it. */
final class NotificationStore
{
    public function __construct(private readonly Database $database)
    {
    }

    /** @return bool whether this is the first notification for the order */
    public function record(Order $order, string $message): bool
    {
        return $this->database->transaction(function (\PDO $pdo) use ($order, $message): bool {
            $insert = $pdo->prepare(
                'INSERT INTO notifications (order_id, message) VALUES (?, ?)
                 ON DUPLICATE KEY UPDATE deliveries = deliveries + 1'
            );
            $insert->execute([$order->id, $message]);
            return $insert->rowCount() === 1; // 2 when a row was changed
        });
    }
}
