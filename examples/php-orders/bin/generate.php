<?php
/**
 * The generator: places orders by the shop's own publisher, many on their way at a time.
 *
 *     php bin/generate.php [ORDERS [PER_SECOND [LEDGER_DIRECTORY]]]
 */

declare(strict_types=1);

namespace Shop;

require __DIR__ . '/../src/autoload.php';

/** Seconds between two bursts of orders. */
const TICK = 0.01;

$total = (int) ($argv[1] ?? 100);
$perSecond = (float) ($argv[2] ?? 50);
$ledger = isset($argv[3]) ? new Ledger($argv[3], 'generator') : null;

$confirmed = 0;
$publisher = new Publisher(
    new Broker(new Settings(), 'shop generator'),
    function (Order $order) use ($ledger, &$confirmed): void {
        $confirmed++;
        $ledger?->confirmed($order);
    }
);

// A burst each tick, and no catching up: when the broker was away, orders go on at the same pace.
$burst = max(1, (int) round($perSecond * TICK));
for ($placed = 0; $placed < $total;) {
    for ($end = min($total, $placed + $burst); $placed < $end; $placed++) {
        $order = Order::place(Customers::order());
        $ledger?->placed($order);
        $publisher->publish($order);
        if ($placed % 20 === 0) {
            $publisher->basketAbandoned(Customers::country());
        }
    }
    $publisher->tend($burst / $perSecond);
}
$publisher->flush();
Log::line("$confirmed of $placed orders confirmed; {$publisher->republished()} times one was published again");
