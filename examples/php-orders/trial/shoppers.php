<?php
/**
 * Shoppers: send the shop's form over HTTP, and send it again while the shop says 503.
 *
 *     php trial/shoppers.php URL ORDERS PER_SECOND LEDGER_DIRECTORY
 */

declare(strict_types=1);

namespace Shop;

require __DIR__ . '/../src/autoload.php';

/** Seconds a shopper goes on trying. */
const STAMINA = 60;

[, $url, $total, $perSecond, $directory] = $argv;
$ledger = new Ledger($directory, 'shoppers');
$confirmed = $repeated = 0;

/** Sends the form; the HTTP status, or 0 without an answer. */
function send_form(string $url, array $fields): int
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\nConnection: close",
        'content' => http_build_query($fields),
        'ignore_errors' => true,
        'timeout' => 30,
    ]]);
    $answer = @file_get_contents($url, false, $context);
    return $answer !== false && preg_match('{^HTTP/\S+ (\d+)}', $http_response_header[0] ?? '', $match) === 1
        ? (int) $match[1]
        : 0;
}

for ($n = 0; $n < (int) $total; $n++) {
    usleep((int) (1e6 / (float) $perSecond));
    $fields = Customers::order();
    $order = Order::place($fields);
    $ledger->placed($order);
    $until = microtime(true) + STAMINA;
    while (($status = send_form($url, $fields)) !== 201 && microtime(true) < $until) {
        Log::line("order $order->id: status $status");
        $repeated++;
        usleep(200_000);
    }
    if ($status === 201) {
        $confirmed++;
        $ledger->confirmed($order);
    }
}
Log::line("$confirmed of $total orders taken; $repeated times a form was sent again");
