<?php

declare(strict_types=1);

namespace Shop;

/** The tables `orders` and `users`. */
final class OrderStore
{
    public function __construct(private readonly Database $database)
    {
    }

    /**
     * Stores an order and counts it for its user, both or neither. An order that is stored already
     * changes nothing.
     *
     * @return bool whether the order was new
     * @throws \PDOException when the database failed: store it again
     */
    public function save(Order $order): bool
    {
        return $this->database->transaction(function (\PDO $pdo) use ($order): bool {
            $userId = $this->userId($pdo, $order);
            $insert = $pdo->prepare(
                'INSERT IGNORE INTO orders (id, user_id, country, express, product, quantity, total_cents, placed_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)'
            );
            $insert->execute([
                $order->id, $userId, $order->country, (int) $order->express,
                $order->product, $order->quantity, $order->totalCents, $order->placedAt,
            ]);
            $isNew = $insert->rowCount() === 1;
            if ($isNew) {
                $pdo->prepare('UPDATE users SET orders_count = orders_count + 1, spent_cents = spent_cents + ? WHERE id = ?')
                    ->execute([$order->totalCents, $userId]);
            }
            return $isNew;
        });
    }

    /** @return array<int, array<string, mixed>> the orders placed last */
    public function latest(int $count): array
    {
        $rows = $this->database->pdo()->prepare(
            'SELECT name, product, quantity, total_cents, placed_at
             FROM orders JOIN users ON users.id = user_id ORDER BY placed_at DESC LIMIT ?'
        );
        $rows->bindValue(1, $count, \PDO::PARAM_INT);
        $rows->execute();
        return $rows->fetchAll();
    }

    /** The user's row; made at the first order, and locked until the transaction ends. */
    private function userId(\PDO $pdo, Order $order): int
    {
        $pdo->prepare(
            'INSERT INTO users (email, name) VALUES (?, ?)
             ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), name = VALUES(name)'
        )->execute([$order->email, $order->name]);
        return (int) $pdo->lastInsertId();
    }
}
