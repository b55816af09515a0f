<?php
/** Checks of what a consumer leans on: get, requeue, RPC, prefetch, several consumers. */

declare(strict_types=1);

$checks->add('get', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $exchange = new AMQPExchange($channel);
        expect(!$queue->get(), 'a message came from an empty queue');
        foreach (['first', 'second', 'third'] as $body) {
            $exchange->publish($body, $queue->getName());
        }
        $envelope = $queue->get();
        expect_same('first', $envelope->getBody(), 'body');
        expect_same($queue->getName(), $envelope->getRoutingKey(), 'routing key');
        expect_same(false, $envelope->isRedelivery(), 'redelivered');
        $queue->ack($envelope->getDeliveryTag());
        expect_same(['second', 'third'], drain($queue), 'the rest, in no-ack mode');
        expect(!$queue->get(), 'a message came when all was taken');
    });
});

$checks->add('requeue-redelivered', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $exchange = new AMQPExchange($channel);
        foreach (['a', 'b', 'c'] as $body) {
            $exchange->publish($body, $queue->getName());
        }
        $taken = [$queue->get()->getDeliveryTag(), $queue->get()->getDeliveryTag()];
        // Back in the other order than they came: each returns to its own place.
        $queue->nack($taken[1], AMQP_REQUEUE);
        $queue->nack($taken[0], AMQP_REQUEUE);
        $seen = [];
        for ($n = 0; $n < 3; $n++) {
            $envelope = $queue->get();
            $seen[] = [$envelope->getBody(), $envelope->isRedelivery()];
            $queue->ack($envelope->getDeliveryTag());
        }
        expect_same([['a', true], ['b', true], ['c', false]], $seen, 'after nack with requeue');

        $exchange->publish('rejected', $queue->getName());
        $queue->reject($queue->get()->getDeliveryTag());
        expect(!$queue->get(), 'a message came after reject without requeue');
    });
});

$checks->add('rpc-reply-queue', function (): void {
    with_channel(function (AMQPChannel $server, AMQPConnection $connection): void {
        $requests = temporary_queue($server);
        $client = new AMQPChannel($connection);
        $replies = queue($client, '', AMQP_EXCLUSIVE);
        $replies->declareQueue();
        expect(str_starts_with($replies->getName(), 'amq.gen-'), "server-named queue is called {$replies->getName()}");
        $toRequests = new AMQPExchange($client);
        $toReplies = new AMQPExchange($server);
        for ($n = 0; $n < 200; $n++) {
            $toRequests->publish((string) $n, $requests->getName(), AMQP_MANDATORY, [
                'correlation_id' => "call-$n",
                'reply_to' => $replies->getName(),
            ]);
            $request = next_message($requests);
            $toReplies->publish((string) ((int) $request->getBody()) ** 2, $request->getReplyTo(), AMQP_NOPARAM, [
                'correlation_id' => $request->getCorrelationId(),
            ]);
            $requests->ack($request->getDeliveryTag());
            $reply = next_message($replies);
            expect_same(["call-$n", (string) $n ** 2], [$reply->getCorrelationId(), $reply->getBody()], "call $n");
            $replies->ack($reply->getDeliveryTag());
        }
    });
});

/** Consumes one message; the consumer stays, as it does in a server's loop. */
function next_message(AMQPQueue $queue): AMQPEnvelope
{
    $next = null;
    $take = function (AMQPEnvelope $envelope) use (&$next): bool {
        $next = $envelope;
        return false;
    };
    // With a consumer of this queue at work, only wait for its next message.
    $queue->consume($take, $queue->getConsumerTag() ? AMQP_JUST_CONSUME : AMQP_NOPARAM);
    return $next;
}

$checks->add('prefetch-limit', function (): void {
    with_channel(function (AMQPChannel $channel, AMQPConnection $connection): void {
        $channel->setPrefetchCount(3);
        $queue = temporary_queue($channel);
        for ($n = 0; $n < 10; $n++) {
            (new AMQPExchange($channel))->publish("$n", $queue->getName());
        }
        $held = [];
        $take = function (AMQPEnvelope $envelope) use (&$held): bool {
            $held[] = $envelope;
            return count($held) % 3 !== 0;
        };
        $queue->consume($take);
        $other = new AMQPChannel($connection);
        expect_same([3, 7], [count($held), waiting($other, $queue->getName())], 'delivered and waiting at prefetch 3');
        $queue->ack($held[2]->getDeliveryTag(), AMQP_MULTIPLE);
        $queue->consume($take, AMQP_JUST_CONSUME);
        expect_same(
            ['0', '1', '2', '3', '4', '5'],
            array_map(fn (AMQPEnvelope $envelope): string => $envelope->getBody(), $held),
            'after a multiple ack'
        );
    });
});

$checks->add('two-queues-one-loop', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queues = [temporary_queue($channel), temporary_queue($channel)];
        $exchange = new AMQPExchange($channel);
        // A consumer on the first queue, then one loop that takes what comes for either.
        $queues[0]->consume(null, AMQP_AUTOACK, 'first');
        foreach ($queues as $n => $queue) {
            $exchange->publish("to $n", $queue->getName());
        }
        $seen = [];
        $queues[1]->consume(function (AMQPEnvelope $envelope) use (&$seen): bool {
            $seen[$envelope->getConsumerTag()] = $envelope->getBody();
            return count($seen) < 2;
        }, AMQP_AUTOACK, 'second');
        ksort($seen);
        expect_same(['first' => 'to 0', 'second' => 'to 1'], $seen, 'messages by consumer tag');
    });
});

$checks->add('queue-deleted-under-consumer', function (): void {
    // The extension overlooks basic.cancel; what matters to its users is that the connection lives on.
    $connection = connect(['read_timeout' => 1]);
    $channel = new AMQPChannel($connection);
    $queue = queue($channel, unique('deleted'));
    $queue->declareQueue();
    $queue->consume(null, AMQP_NOPARAM, 'watcher');
    with_channel(fn (AMQPChannel $other) => queue($other, $queue->getName())->delete());
    expect_throws(AMQPQueueException::class, fn () => $queue->consume(fn () => false, AMQP_JUST_CONSUME));
    $fresh = temporary_queue(new AMQPChannel($connection));
    (new AMQPExchange($fresh->getChannel()))->publish('alive', $fresh->getName());
    expect_same(['alive'], drain($fresh), 'bodies');
    $connection->disconnect();
});
