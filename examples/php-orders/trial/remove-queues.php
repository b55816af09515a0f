<?php
/** Takes the shop's exchange and queues off the broker again. */

declare(strict_types=1);

namespace Shop;

require __DIR__ . '/../src/autoload.php';

(new Broker(new Settings(), 'shop trial'))->removeTopology();
