<?php
/** Checks of the exchange types and of the ways exchanges lead to each other. */

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

/**
 * Publishes one message for each key (the key is the body) and returns what arrived in each queue.
 *
 * @param string[] $keys
 * @param array<string, string> $queues label → queue
 * @return array<string, string[]>
 */
function arrivals(AMQPChannel $channel, string $exchange, array $keys, array $queues): array
{
    foreach ($keys as $key) {
        publish_confirmed($channel, new AMQPMessage($key), $exchange, $key);
    }
    return array_map(fn (string $queue): array => drain($channel, $queue), $queues);
}

$checks->add('exchange-types', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $channel->confirm_select();
        $queues = ['one' => temporary_queue($channel), 'two' => temporary_queue($channel)];
        ['one' => $one, 'two' => $two] = $queues;

        $direct = temporary_exchange($channel, 'direct', 'direct');
        $channel->queue_bind($one, $direct, 'red');
        $channel->queue_bind($two, $direct, 'red');
        $channel->queue_bind($two, $direct, 'blue');
        expect_same(
            ['one' => ['red'], 'two' => ['blue', 'red']],
            arrivals($channel, $direct, ['red', 'blue', 'green', 're'], $queues),
            'direct'
        );

        $fanout = temporary_exchange($channel, 'fanout', 'fanout');
        $channel->queue_bind($one, $fanout);
        $channel->queue_bind($two, $fanout, 'ignored');
        $channel->queue_bind($two, $fanout, 'ignored as well');
        expect_same(
            ['one' => ['', 'any'], 'two' => ['', 'any']],
            arrivals($channel, $fanout, ['any', ''], $queues),
            'fanout'
        );

        $topic = temporary_exchange($channel, 'topic', 'topic');
        $channel->queue_bind($one, $topic, '*.orange.*');
        $channel->queue_bind($two, $topic, '*.*.rabbit');
        $channel->queue_bind($two, $topic, 'lazy.#');
        expect_same(
            [
                'one' => ['lazy.orange.elephant', 'quick.orange.fox', 'quick.orange.rabbit'],
                'two' => ['lazy', 'lazy.a.b.c.d', 'lazy.orange.elephant', 'lazy.pink.rabbit', 'quick.orange.rabbit'],
            ],
            arrivals($channel, $topic, [
                'quick.orange.rabbit', 'lazy.orange.elephant', 'quick.orange.fox', 'lazy.pink.rabbit', 'quick.brown.fox',
                'lazy', 'lazy.a.b.c.d', 'orange', 'quick.orange.male.rabbit', '',
            ], $queues),
            'topic'
        );

        $headers = temporary_exchange($channel, 'headers', 'headers');
        $channel->queue_bind($one, $headers, '', false, new AMQPTable(
            ['x-match' => 'all', 'format' => 'pdf', 'pages' => 3]
        ));
        $channel->queue_bind($two, $headers, '', false, new AMQPTable(
            ['x-match' => 'any', 'format' => 'pdf', 'pages' => 3]
        ));
        foreach (
            ['both' => ['format' => 'pdf', 'pages' => 3, 'more' => 'x'], 'first' => ['format' => 'pdf'],
                'wrong' => ['format' => 'zip', 'pages' => 4], 'second' => ['format' => 'zip', 'pages' => 3],
                'none' => []] as $body => $table
        ) {
            $message = new AMQPMessage($body, ['application_headers' => new AMQPTable($table)]);
            publish_confirmed($channel, $message, $headers, '');
        }
        expect_same(['both'], drain($channel, $one), 'headers, all');
        expect_same(['both', 'first', 'second'], drain($channel, $two), 'headers, any');

        publish_confirmed($channel, new AMQPMessage('by name'), '', $one);
        expect_same(['by name'], drain($channel, $one), 'default exchange');
        expect_same([], drain($channel, $two), 'default exchange, the other queue');
    });
});

$checks->add('alternate-exchange', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $channel->confirm_select();
        [$routed, $rest] = [temporary_queue($channel), temporary_queue($channel)];
        $alternate = temporary_exchange($channel, 'alternate', 'fanout');
        $main = temporary_exchange($channel, 'main', 'direct', ['alternate-exchange' => $alternate]);
        $channel->queue_bind($routed, $main, 'known');
        $channel->queue_bind($rest, $alternate);
        $returned = 0;
        $channel->set_return_listener(function () use (&$returned): void {
            $returned++;
        });
        foreach (['known', 'unknown'] as $key) {
            $channel->basic_publish(new AMQPMessage($key), $main, $key, true);
        }
        $channel->wait_for_pending_acks_returns(PATIENCE);
        expect_same(['known'], drain($channel, $routed), 'routed');
        expect_same(['unknown'], drain($channel, $rest), 'through the alternate exchange');
        expect_same(0, $returned, 'returns of messages that the alternate exchange routed');
    });
});

$checks->add('exchange-to-exchange', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $channel->confirm_select();
        $queue = temporary_queue($channel);
        $source = temporary_exchange($channel, 'source', 'topic');
        $destination = temporary_exchange($channel, 'destination', 'fanout');
        $channel->queue_bind($queue, $destination);
        // Two ways to the same queue are one copy.
        $channel->queue_bind($queue, $source, 'stock.nyse');
        $channel->exchange_bind($destination, $source, 'stock.#');
        expect_same(
            ['queue' => ['stock.nyse', 'stock.usd']],
            arrivals($channel, $source, ['stock.usd', 'bond.usd', 'stock.nyse'], ['queue' => $queue]),
            'bound'
        );
        $channel->exchange_unbind($destination, $source, 'stock.#');
        expect_same(
            ['queue' => []],
            arrivals($channel, $source, ['stock.usd'], ['queue' => $queue]),
            'unbound'
        );
    });
});
