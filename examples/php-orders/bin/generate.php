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
const TICK = 0.05;

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

$begin = microtime(true);
for ($placed = 0; $placed < $total;) {
    $due = min($total, (int) ((microtime(true) - $begin) * $perSecond) + 1);
    for (; $placed < $due; $placed++) {
        $order = Order::place(Customers::order());
        $ledger?->placed($order);
        $publisher->publish($order);
        if ($placed % 20 === 0) {
            $publisher->basketAbandoned(Customers::country());
        }
    }
    $publisher->tend(TICK);
}
$publisher->flush();
Log::line("$confirmed of $placed orders confirmed; {$publisher->republished()} times one was published again");
