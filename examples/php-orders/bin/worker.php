<?php
/** The worker: writes every order into the database, then acknowledges it. Run as many as you like. */

declare(strict_types=1);

namespace Shop;

require __DIR__ . '/../src/autoload.php';

$settings = new Settings();
$broker = new Broker($settings, 'shop worker');
$store = new OrderStore(new Database($settings));
$repeated = 0;

$consumer = new Consumer($broker, $broker->ordersQueue(), function (Order $order) use ($store, &$repeated): void {
    if (!$store->save($order)) {
        $repeated++;
    }
});
$consumer->run();
Log::line("stopped; $repeated orders came more than once and were stored once");
