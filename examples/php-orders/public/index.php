<?php
/**
 * The shop's one page: GET shows a form and the latest orders, POST takes an order.
 *
 * A request opens a connection, publishes, waits for the confirm and answers: 201 means that the
 * broker has the order on disk. 503 means that nobody knows; the customer sends the same form, with
 * the same order id, again.
 */

declare(strict_types=1);

namespace Shop;

use PhpAmqpLib\Exception\AMQPExceptionInterface;

require __DIR__ . '/../src/autoload.php';

/** Seconds a customer waits for a broker that is away. */
const PATIENCE = 5.0;

/** @return array{int, string} status and text */
function take_order(array $fields, Settings $settings): array
{
    try {
        $order = Order::place($fields);
    } catch (InvalidOrder $problem) {
        return [422, 'Sorry: ' . $problem->getMessage() . '.'];
    }
    $broker = new Broker($settings, 'shop web page');
    $publisher = new Publisher($broker, fn () => null);
    try {
        $until = microtime(true) + PATIENCE;
        $publisher->publish($order, $until);
        $publisher->flush($until);
        return [201, "Thank you, $order->name! Your order has the number $order->id."];
    } catch (AMQPExceptionInterface) {
        return [503, 'Sorry, we cannot take orders just now. Please send it again in a moment.'];
    } finally {
        $broker->drop();
    }
}

$settings = new Settings();
$notice = '';
$orderId = Order::newId();
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    [$status, $notice] = take_order($_POST, $settings);
    http_response_code($status);
    if ($status === 503) {
        $orderId = $_POST['id']; // the same order, when it is sent again
    }
    if (str_contains($_SERVER['HTTP_ACCEPT'] ?? '', 'application/json')) {
        header('Content-Type: application/json');
        echo json_encode(['status' => $status, 'notice' => $notice]);
        return;
    }
}
$latest = (new OrderStore(new Database($settings)))->latest(10);
require __DIR__ . '/page.php';
