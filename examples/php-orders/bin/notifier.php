<?php
/** The notifier: hears of every new order by topic subscription and records what it tells the customer. */

declare(strict_types=1);

namespace Shop;

require __DIR__ . '/../src/autoload.php';

$settings = new Settings();
$broker = new Broker($settings, 'shop notifier');
$store = new NotificationStore(new Database($settings));

$consumer = new Consumer($broker, $broker->notificationsQueue(), function (Order $order) use ($store): void {
    $speed = $order->express ? 'today' : 'this week';
    // A real one would send its e-mail here, and not again if record() says that it did already.
    $store->record($order, "Dear $order->name, your $order->quantity × $order->product leaves us $speed.");
});
$consumer->run();
Log::line('stopped');
