<?php
/** Checks of what a consumer leans on: get, requeue, RPC, prefetch, cancellation. */

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Exception\AMQPBasicCancelException;
use PhpAmqpLib\Exception\AMQPTimeoutException;
use PhpAmqpLib\Message\AMQPMessage;

$checks->add('get', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        expect_same(null, $channel->basic_get($queue), 'get from an empty queue');
        foreach (['first', 'second', 'third'] as $body) {
            $channel->basic_publish(new AMQPMessage($body), '', $queue);
        }
        $message = $channel->basic_get($queue);
        expect_same('first', $message->getBody(), 'body');
        expect_same(2, $message->getMessageCount(), 'messages left');
        expect_same(['', $queue], [$message->getExchange(), $message->getRoutingKey()], 'exchange and key');
        expect_same(false, $message->isRedelivered(), 'redelivered');
        $message->ack();
        expect_same(['second', 'third'], drain($channel, $queue), 'the rest, in no-ack mode');
        expect_same(null, $channel->basic_get($queue), 'get when all is taken');
    });
});

$checks->add('requeue-redelivered', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        foreach (['a', 'b', 'c'] as $body) {
            $channel->basic_publish(new AMQPMessage($body), '', $queue);
        }
        $taken = [$channel->basic_get($queue), $channel->basic_get($queue)];
        // Back in the other order than they came: each returns to its own place.
        $taken[1]->nack(true);
        $taken[0]->nack(true);
        $seen = [];
        for ($n = 0; $n < 3; $n++) {
            $message = $channel->basic_get($queue);
            $seen[] = [$message->getBody(), $message->isRedelivered()];
            $message->ack();
        }
        expect_same([['a', true], ['b', true], ['c', false]], $seen, 'after nack with requeue');

        $channel->basic_publish(new AMQPMessage('rejected'), '', $queue);
        $channel->basic_get($queue)->reject(false);
        expect_same(null, $channel->basic_get($queue), 'get after reject without requeue');
    });
});

$checks->add('requeue-on-channel-close', function (): void {
    with_channel(function (AMQPChannel $channel, $connection): void {
        $queue = temporary_queue($channel);
        foreach (['a', 'b'] as $body) {
            $channel->basic_publish(new AMQPMessage($body), '', $queue);
        }
        $other = $connection->channel();
        expect_same('a', $other->basic_get($queue)->getBody(), 'taken and never acknowledged');
        $other->close();
        $message = $channel->basic_get($queue);
        expect_same(['a', true], [$message->getBody(), $message->isRedelivered()], 'after the channel closed');
    });
});

$checks->add('rpc-reply-queue', function (): void {
    with_channel(function (AMQPChannel $server): void {
        $requests = temporary_queue($server);
        $server->basic_qos(0, 1, false);
        $server->basic_consume($requests, callback: function (AMQPMessage $request) use ($server): void {
            $reply = new AMQPMessage(
                (string) ((int) $request->getBody()) ** 2,
                ['correlation_id' => $request->get('correlation_id')]
            );
            $server->basic_publish($reply, '', $request->get('reply_to'));
            $request->ack();
        });

        with_channel(function (AMQPChannel $client) use ($server, $requests): void {
            [$replies] = $client->queue_declare('', false, false, true, false);
            expect(str_starts_with($replies, 'amq.gen-'), "server-named queue is called $replies");
            $answers = [];
            $client->basic_consume($replies, no_ack: true, callback: function (AMQPMessage $reply) use (&$answers): void {
                $answers[$reply->get('correlation_id')] = $reply->getBody();
            });
            for ($n = 0; $n < 200; $n++) {
                $client->basic_publish(
                    new AMQPMessage((string) $n, ['correlation_id' => "call-$n", 'reply_to' => $replies]),
                    '',
                    $requests
                );
                $server->wait(null, false, PATIENCE);
                $client->wait(null, false, PATIENCE);
                expect_same((string) $n ** 2, $answers["call-$n"] ?? null, "answer to call $n");
            }
        });
    });
});

$checks->add('prefetch-limit', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        for ($n = 0; $n < 10; $n++) {
            $channel->basic_publish(new AMQPMessage("$n"), '', $queue);
        }
        $channel->basic_qos(0, 3, false);
        $held = [];
        $channel->basic_consume($queue, callback: function (AMQPMessage $message) use (&$held): void {
            $held[] = $message;
        });
        for ($n = 0; $n < 3; $n++) {
            $channel->wait(null, false, PATIENCE);
        }
        // The broker answers on this channel without having sent a fourth: 7 are left.
        [, $waiting] = $channel->queue_declare($queue, true);
        expect_same([3, 7], [count($held), $waiting], 'delivered and waiting at prefetch 3');
        expect_throws(AMQPTimeoutException::class, fn () => $channel->wait(null, false, 0.3));
        $held[2]->ack(true);
        for ($n = 0; $n < 3; $n++) {
            $channel->wait(null, false, PATIENCE);
        }
        expect_same(
            ['0', '1', '2', '3', '4', '5'],
            array_map(fn (AMQPMessage $message): string => $message->getBody(), $held),
            'after a multiple ack'
        );
    });
});

$checks->add('round-robin', function (): void {
    with_channel(function (AMQPChannel $channel, $connection): void {
        $queue = temporary_queue($channel);
        $counts = [0, 0];
        $channels = [$connection->channel(), $connection->channel()];
        foreach ($channels as $n => $consumer) {
            $consumer->basic_qos(0, 1, false);
            $consumer->basic_consume($queue, callback: function (AMQPMessage $message) use (&$counts, $n): void {
                $counts[$n]++;
                $message->ack();
            });
        }
        for ($n = 0; $n < 20; $n++) {
            $channel->basic_publish(new AMQPMessage("$n"), '', $queue);
            $channels[$n % 2]->wait(null, false, PATIENCE);
        }
        expect_same([10, 10], $counts, 'messages to each of two consumers');
    });
});

$checks->add('consumer-cancel-notify', function (): void {
    with_channel(function (AMQPChannel $channel, $connection): void {
        $queue = unique('cancelled');
        $channel->queue_declare($queue, auto_delete: false);
        $tag = $channel->basic_consume($queue, 'watcher', callback: fn () => null);
        expect_same('watcher', $tag, 'consumer tag');
        $connection->channel()->queue_delete($queue);
        $cancelled = expect_throws(
            AMQPBasicCancelException::class,
            fn () => $channel->wait(null, false, PATIENCE)
        );
        expect_same('watcher', $cancelled->consumerTag, 'tag of the cancelled consumer');
    });
});

$checks->add('recover', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $channel->basic_publish(new AMQPMessage('again'), '', $queue);
        expect_same('again', $channel->basic_get($queue)->getBody(), 'first time');
        $channel->basic_recover(true);
        $message = $channel->basic_get($queue);
        expect_same(['again', true], [$message?->getBody(), $message?->isRedelivered()], 'after recover');
        $message->ack();
    });
});
