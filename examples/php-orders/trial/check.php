<?php
/**
 * Compares the ledgers with the database, once all queues are empty.
 *
 *     php trial/check.php LEDGER_DIRECTORY ORDERS
 */

declare(strict_types=1);

namespace Shop;

require __DIR__ . '/../src/autoload.php';

/** Seconds the worker and the notifier have to catch up. */
const CATCH_UP = 120;

[, $directory, $total] = $argv;
$settings = new Settings();
$broker = new Broker($settings, 'shop trial');
$pdo = (new Database($settings))->pdo();
$failed = 0;

/** @param string[] $faults examples of what is wrong; none is good */
function report(string $name, array $faults): void
{
    global $failed;
    if ($faults === []) {
        echo "ok $name\n";
    } else {
        $failed++;
        echo "not ok $name: ", count($faults), ', such as ', implode(', ', array_slice($faults, 0, 3)), "\n";
    }
}

/** What an order says in its row. */
function row_of(Order $order): array
{
    return [
        'id' => $order->id, 'email' => $order->email, 'country' => $order->country, 'express' => (int) $order->express,
        'product' => $order->product, 'quantity' => $order->quantity, 'total_cents' => $order->totalCents,
    ];
}

$placed = Ledger::read($directory, 'placed');
$confirmed = Ledger::read($directory, 'confirmed');

// All confirmed orders were handled when each has left its trace; what is missing then is lost.
$until = microtime(true) + CATCH_UP;
do {
    $stored = (int) $pdo->query('SELECT COUNT(*) FROM orders')->fetchColumn();
    $notified = (int) $pdo->query('SELECT COUNT(*) FROM notifications')->fetchColumn();
    $left = $broker->waiting($broker->ordersQueue()) + $broker->waiting($broker->notificationsQueue());
    $isDone = $left === 0 && $stored >= count($confirmed) && $notified >= count($confirmed);
} while (!$isDone && microtime(true) < $until && usleep(100_000) === null);

$rows = $pdo->query(
    'SELECT orders.id, email, country, express, product, quantity, total_cents
     FROM orders JOIN users ON users.id = user_id'
)->fetchAll();
$stored = array_column($rows, null, 'id');
$notifications = $pdo->query('SELECT order_id, deliveries FROM notifications')->fetchAll(\PDO::FETCH_KEY_PAIR);
$users = array_column($pdo->query('SELECT email, name, orders_count, spent_cents FROM users')->fetchAll(), null, 'email');

report('orders-placed', count($placed) === (int) $total ? [] : [count($placed) . " of $total"]);
report('all-orders-confirmed', array_keys(array_diff_key($placed, $confirmed)));
report('confirmed-orders-stored', array_keys(array_diff_key($confirmed, $stored)));
report('each-order-stored-once', count($rows) === count($stored) ? [] : ['ids that are there twice']);
report('no-order-out-of-nowhere', array_keys(array_diff_key($stored, $placed)));
report('orders-stored-as-placed', array_keys(array_filter(
    array_intersect_key($placed, $stored),
    fn (Order $order): bool => row_of($order) !== $stored[$order->id]
)));

$expected = [];
foreach (array_intersect_key($placed, $stored) as $order) {
    $expected[$order->email] ??= ['email' => $order->email, 'name' => $order->name, 'orders_count' => 0, 'spent_cents' => 0];
    $expected[$order->email]['orders_count']++;
    $expected[$order->email]['spent_cents'] += $order->totalCents;
}
ksort($expected);
ksort($users);
report('users-add-up', array_keys(array_filter(
    $expected + $users,
    fn (array $user): bool => ($users[$user['email']] ?? null) !== ($expected[$user['email']] ?? null)
)));

report('confirmed-orders-notified', array_keys(array_diff_key($confirmed, $notifications)));
report('no-notification-out-of-nowhere', array_keys(array_diff_key($notifications, $placed)));
report('queues-are-empty', $left === 0 ? [] : ["$left messages"]);
$broker->drop();

printf(
    "# %d orders placed, %d confirmed, %d stored for %d users, %d notified (%d notifications came again)\n",
    count($placed),
    count($confirmed),
    count($stored),
    count($users),
    count($notifications),
    array_sum($notifications) - count($notifications)
);
exit($failed === 0 ? 0 : 1);
