<?php
/** Checks of the exchange types and of the ways exchanges lead to each other. */

declare(strict_types=1);

/**
 * Publishes one message for each key (the key is the body) and returns what arrived in each queue.
 *
 * @param string[] $keys
 * @param array<string, AMQPQueue> $queues
 * @return array<string, string[]>
 */
function arrivals(AMQPExchange $exchange, array $keys, array $queues): array
{
    foreach ($keys as $key) {
        $exchange->publish($key, $key);
    }
    return array_map(fn (AMQPQueue $queue): array => drain($queue), $queues);
}

$checks->add('exchange-types', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queues = ['one' => temporary_queue($channel), 'two' => temporary_queue($channel)];
        ['one' => $one, 'two' => $two] = $queues;

        $direct = temporary_exchange($channel, 'direct', AMQP_EX_TYPE_DIRECT);
        $one->bind($direct->getName(), 'red');
        $two->bind($direct->getName(), 'red');
        $two->bind($direct->getName(), 'blue');
        expect_same(
            ['one' => ['red'], 'two' => ['blue', 'red']],
            arrivals($direct, ['red', 'blue', 'green', 're'], $queues),
            'direct'
        );

        $fanout = temporary_exchange($channel, 'fanout', AMQP_EX_TYPE_FANOUT);
        $one->bind($fanout->getName());
        $two->bind($fanout->getName(), 'ignored');
        $two->bind($fanout->getName(), 'ignored as well');
        expect_same(['one' => ['any'], 'two' => ['any']], arrivals($fanout, ['any'], $queues), 'fanout');

        $topic = temporary_exchange($channel, 'topic', AMQP_EX_TYPE_TOPIC);
        $one->bind($topic->getName(), '*.orange.*');
        $two->bind($topic->getName(), '*.*.rabbit');
        $two->bind($topic->getName(), 'lazy.#');
        expect_same(
            [
                'one' => ['lazy.orange.elephant', 'quick.orange.fox', 'quick.orange.rabbit'],
                'two' => ['lazy', 'lazy.a.b.c.d', 'lazy.orange.elephant', 'lazy.pink.rabbit', 'quick.orange.rabbit'],
            ],
            arrivals($topic, [
                'quick.orange.rabbit', 'lazy.orange.elephant', 'quick.orange.fox', 'lazy.pink.rabbit', 'quick.brown.fox',
                'lazy', 'lazy.a.b.c.d', 'orange', 'quick.orange.male.rabbit',
            ], $queues),
            'topic'
        );

        $headers = temporary_exchange($channel, 'headers', AMQP_EX_TYPE_HEADERS);
        $one->bind($headers->getName(), '', ['x-match' => 'all', 'format' => 'pdf', 'pages' => 3]);
        $two->bind($headers->getName(), '', ['x-match' => 'any', 'format' => 'pdf', 'pages' => 3]);
        foreach (
            ['both' => ['format' => 'pdf', 'pages' => 3, 'more' => 'x'], 'first' => ['format' => 'pdf'],
                'wrong' => ['format' => 'zip', 'pages' => 4], 'second' => ['format' => 'zip', 'pages' => 3],
                'none' => []] as $body => $table
        ) {
            $headers->publish($body, '', AMQP_NOPARAM, ['headers' => $table]);
        }
        expect_same(['both'], drain($one), 'headers, all');
        expect_same(['both', 'first', 'second'], drain($two), 'headers, any');

        (new AMQPExchange($channel))->publish('by name', $one->getName());
        expect_same(['by name'], drain($one), 'default exchange');
        expect_same([], drain($two), 'default exchange, the other queue');
    });
});

$checks->add('alternate-exchange', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queues = ['routed' => temporary_queue($channel), 'rest' => temporary_queue($channel)];
        $alternate = temporary_exchange($channel, 'alternate', AMQP_EX_TYPE_FANOUT);
        $main = temporary_exchange(
            $channel,
            'main',
            AMQP_EX_TYPE_DIRECT,
            ['alternate-exchange' => $alternate->getName()]
        );
        $queues['routed']->bind($main->getName(), 'known');
        $queues['rest']->bind($alternate->getName());
        expect_same(
            ['routed' => ['known'], 'rest' => ['unknown']],
            arrivals($main, ['known', 'unknown'], $queues),
            'alternate exchange'
        );
    });
});

$checks->add('exchange-to-exchange', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $source = temporary_exchange($channel, 'source', AMQP_EX_TYPE_TOPIC);
        $destination = temporary_exchange($channel, 'destination', AMQP_EX_TYPE_FANOUT);
        $queue->bind($destination->getName());
        // Two ways to the same queue are one copy.
        $queue->bind($source->getName(), 'stock.nyse');
        $destination->bind($source->getName(), 'stock.#');
        expect_same(
            ['queue' => ['stock.nyse', 'stock.usd']],
            arrivals($source, ['stock.usd', 'bond.usd', 'stock.nyse'], ['queue' => $queue]),
            'bound'
        );
        $destination->unbind($source->getName(), 'stock.#');
        expect_same(['queue' => []], arrivals($source, ['stock.usd'], ['queue' => $queue]), 'unbound');
    });
});
