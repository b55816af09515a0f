<?php
/** Checks of what a publisher leans on: declarations, confirms, returns, transactions, content. */

declare(strict_types=1);

const MESSAGES = 10_000;

$checks->add('declare', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $name = unique('declare');
        $queue = queue($channel, $name, AMQP_DURABLE);
        expect_same(0, $queue->declareQueue(), 'messages in a new queue');
        $exchange = new AMQPExchange($channel);
        $exchange->setName(unique('declare'));
        $exchange->setType(AMQP_EX_TYPE_TOPIC);
        $exchange->setFlags(AMQP_DURABLE);
        $exchange->declareExchange();
        $exchange->declareExchange();
        $queue->bind($exchange->getName(), 'a.#');
        $channel->confirmSelect();
        $exchange->publish('bound', 'a.b');
        wait_for_confirms($channel, 1);
        expect_same(1, $queue->declareQueue(), 'messages when bound');
        $queue->unbind($exchange->getName(), 'a.#');
        $exchange->publish('not bound', 'a.b');
        wait_for_confirms($channel, 2);
        expect_same(1, $queue->declareQueue(), 'messages when unbound');
        $exchange->delete();
        $queue->purge();
        expect_same(0, waiting($channel, $name), 'messages after a purge');
        (new AMQPExchange($channel))->publish('one', $name);
        wait_for_confirms($channel, 3);
        expect_same(1, $queue->delete(), 'delete count');
    });
});

$checks->add('confirm-publish-10000', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $name = unique('many');
        queue($channel, $name, AMQP_DURABLE)->declareQueue();
        $channel->confirmSelect();
        $exchange = new AMQPExchange($channel);
        for ($n = 0; $n < MESSAGES; $n++) {
            $exchange->publish(numbered_body($n), $name, AMQP_NOPARAM, [
                'content_type' => 'application/json',
                'delivery_mode' => 2,
                'message_id' => "m$n",
            ]);
            if ($n % 1000 === 999) {
                wait_for_confirms($channel, $n + 1);
            }
        }
        expect_same(MESSAGES, waiting($channel, $name), 'messages in the queue');
    });
});

// Takes the messages of the check before it.
$checks->add('consume-prefetch-ack', function (): void {
    with_channel(function (AMQPChannel $channel, AMQPConnection $connection): void {
        $channel->setPrefetchCount(50);
        $queue = queue($channel, unique('many'));
        $received = 0;
        $queue->consume(function (AMQPEnvelope $envelope, AMQPQueue $queue) use (&$received): bool {
            expect_same(numbered_body($received), $envelope->getBody(), "body $received");
            expect_same("m$received", $envelope->getMessageId(), "message id $received");
            expect_same(2, $envelope->getDeliveryMode(), "delivery mode $received");
            expect_same('application/json', $envelope->getContentType(), "content type $received");
            expect_same($received + 1, $envelope->getDeliveryTag(), 'delivery tag');
            expect(!$envelope->isRedelivery(), "message $received is marked redelivered");
            $queue->ack($envelope->getDeliveryTag());
            return ++$received < MESSAGES;
        });
        $queue->cancel();
        $channel->close();
        $again = new AMQPChannel($connection);
        expect_same(0, waiting($again, $queue->getName()), 'messages left');
        queue($again, $queue->getName())->delete();
    });
});

$checks->add('mandatory-return', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $nowhere = unique('nowhere');
        $returned = null;
        $channel->setReturnCallback(
            function (int $code, string $text, string $exchange, string $key, AMQPBasicProperties $about, string $body)
            use (&$returned): bool {
                $returned = [$code, $text, $exchange, $key, $about->getAppId(), $body];
                return false;
            }
        );
        $exchange = new AMQPExchange($channel);
        $exchange->setName('amq.direct');
        $exchange->publish('lost', $nowhere, AMQP_MANDATORY, ['app_id' => 'shop']);
        $channel->waitForBasicReturn(PATIENCE);
        expect_same([312, 'NO_ROUTE', 'amq.direct', $nowhere, 'shop', 'lost'], $returned, 'returned message');

        $returned = null;
        $channel->confirmSelect();
        $exchange->publish('dropped', $nowhere);
        wait_for_confirms($channel, 1);
        expect_same(null, $returned, 'an unroutable message without mandatory');
    });
});

$checks->add('tx', function (): void {
    with_channel(function (AMQPChannel $channel, AMQPConnection $connection): void {
        $name = unique('tx');
        $queue = queue($channel, $name);
        $queue->declareQueue();
        $other = new AMQPChannel($connection);
        $exchange = new AMQPExchange($channel);
        $channel->startTransaction();
        $exchange->publish('rolled back', $name);
        $channel->rollbackTransaction();
        $exchange->publish('committed 1', $name);
        $exchange->publish('committed 2', $name);
        expect_same(0, waiting($other, $name), 'messages before the commit');
        $channel->commitTransaction();
        expect_same(2, waiting($other, $name), 'messages after the commit');

        // An ack in a transaction that is rolled back did not happen.
        $queue->ack($queue->get()->getDeliveryTag());
        $channel->rollbackTransaction();
        $channel->basicRecover(true);
        $first = $queue->get();
        expect_same('committed 1', $first->getBody(), 'body after the rolled back ack');
        $queue->ack($first->getDeliveryTag());
        $channel->commitTransaction();
        $queue = queue($other, $name);
        expect_same(['committed 2'], drain($queue), 'left after the committed ack');
        $queue->delete();
    });
});

$checks->add('properties-and-sizes', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $exchange = new AMQPExchange($channel);
        $headers = [
            'string' => 'text', 'integer' => 42, 'negative' => -7, 'large' => 9_000_000_000, 'yes' => true,
            'no' => false, 'fraction' => 0.5, 'list' => ['a', 'b'], 'table' => ['deep' => ['deeper' => 'x']],
        ];
        $user = (new Broker())->user;
        $exchange->publish("\0\xffbinary", $queue->getName(), AMQP_NOPARAM, [
            'content_type' => 'text/plain', 'content_encoding' => 'utf-8', 'delivery_mode' => 1, 'priority' => 5,
            'correlation_id' => 'c-1', 'reply_to' => 'r-1', 'expiration' => '60000', 'message_id' => 'm-1',
            'timestamp' => 1_700_000_000, 'type' => 'order', 'user_id' => $user, 'app_id' => 'shop',
            'headers' => $headers,
        ]);
        $message = $queue->get(AMQP_AUTOACK);
        expect_same("\0\xffbinary", $message->getBody(), 'body');
        expect_same(
            ['text/plain', 'utf-8', 1, 5, 'c-1', 'r-1', '60000', 'm-1', 1_700_000_000, 'order', $user, 'shop'],
            [
                $message->getContentType(), $message->getContentEncoding(), $message->getDeliveryMode(),
                $message->getPriority(), $message->getCorrelationId(), $message->getReplyTo(),
                $message->getExpiration(), $message->getMessageId(), $message->getTimestamp(),
                $message->getType(), $message->getUserId(), $message->getAppId(),
            ],
            'properties'
        );
        $back = $message->getHeaders();
        ksort($headers);
        ksort($back);
        expect_same($headers, $back, 'headers');

        // None, one, just under, at and over a frame, and many frames.
        foreach ([0, 1, 131_063, 131_064, 131_065, 3_000_000] as $size) {
            $body = $size === 0 ? '' : substr(str_repeat(random_bytes(1000), intdiv($size, 1000) + 1), 0, $size);
            $exchange->publish($body, $queue->getName());
            $envelope = $queue->get(AMQP_AUTOACK);
            // The extension gives false for an empty body.
            expect($envelope && (string) $envelope->getBody() === $body, "a body of $size octets came back different");
        }
    });
});
