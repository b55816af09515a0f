<?php
/** Checks of what a publisher leans on: declarations, confirms, returns, transactions, content. */

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

const MESSAGES = 10_000;

$checks->add('declare', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = unique('declare');
        expect_same([$queue, 0, 0], $channel->queue_declare($queue, durable: true, auto_delete: false), 'declare-ok');
        $channel->basic_consume($queue, callback: fn () => null);
        expect_same([$queue, 0, 1], $channel->queue_declare($queue, durable: true, auto_delete: false), 'the same again');
        expect_same([$queue, 0, 1], $channel->queue_declare($queue, passive: true), 'passive');
        expect_same(0, $channel->queue_delete($queue), 'delete count of an empty queue');

        $exchange = unique('declare');
        $channel->exchange_declare($exchange, 'topic', durable: true, auto_delete: false);
        $channel->exchange_declare($exchange, 'topic', durable: true, auto_delete: false);
        $channel->exchange_declare($exchange, '', passive: true);
        $queue = temporary_queue($channel);
        $channel->queue_bind($queue, $exchange, 'a.#');
        $channel->queue_unbind($queue, $exchange, 'a.#');
        $channel->exchange_delete($exchange);

        $waiting = unique('declare.waiting');
        $channel->queue_declare($waiting, auto_delete: false);
        $channel->confirm_select();
        for ($n = 0; $n < 5; $n++) {
            publish_confirmed($channel, new AMQPMessage("$n"), '', $waiting);
        }
        expect_same(5, $channel->queue_purge($waiting), 'purge count');
        publish_confirmed($channel, new AMQPMessage('one'), '', $waiting);
        expect_same(1, $channel->queue_delete($waiting), 'delete count');
    });
});

$checks->add('confirm-publish-10000', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = unique('many');
        $channel->queue_declare($queue, durable: true, auto_delete: false);
        $channel->confirm_select();
        $confirmed = [];
        $channel->set_ack_handler(function (AMQPMessage $message) use (&$confirmed): void {
            $confirmed[$message->get('message_id')] = true;
        });
        $channel->set_nack_handler(function (AMQPMessage $message): void {
            throw new CheckFailed('nack for ' . $message->get('message_id'));
        });
        for ($n = 0; $n < MESSAGES; $n++) {
            $channel->basic_publish(new AMQPMessage(numbered_body($n), [
                'content_type' => 'application/json',
                'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
                'message_id' => "m$n",
            ]), '', $queue);
            if ($n % 1000 === 999) {
                $channel->wait_for_pending_acks(PATIENCE);
            }
        }
        $channel->wait_for_pending_acks(PATIENCE);
        expect_same(MESSAGES, count($confirmed), 'confirmed');
        [, $waiting] = $channel->queue_declare($queue, true);
        expect_same(MESSAGES, $waiting, 'messages in the queue');
    });
});

// Takes the messages of the check before it.
$checks->add('consume-prefetch-ack', function (): void {
    with_channel(function (AMQPChannel $channel, $connection): void {
        $queue = unique('many');
        $prefetch = 50;
        $channel->basic_qos(0, $prefetch, false);
        $received = 0;
        $tag = $channel->basic_consume(
            $queue,
            callback: function (AMQPMessage $message) use (&$received): void {
                expect_same(numbered_body($received), $message->getBody(), "body $received");
                expect_same("m$received", $message->get('message_id'), "message id $received");
                expect_same(2, $message->get('delivery_mode'), "delivery mode $received");
                expect_same('application/json', $message->get('content_type'), "content type $received");
                expect_same($received + 1, $message->getDeliveryTag(), 'delivery tag');
                expect(!$message->isRedelivered(), "message $received is marked redelivered");
                $received++;
                $message->ack();
            }
        );
        while ($received < MESSAGES) {
            $channel->wait(null, false, PATIENCE);
        }
        $channel->basic_cancel($tag);
        $channel->close();
        $again = $connection->channel();
        [, $waiting] = $again->queue_declare($queue, true);
        expect_same(0, $waiting, 'messages left');
        $again->queue_delete($queue);
    });
});

$checks->add('publish-batch', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $channel->confirm_select();
        for ($n = 0; $n < 500; $n++) {
            $channel->batch_basic_publish(new AMQPMessage(numbered_body($n)), '', $queue);
        }
        $channel->publish_batch();
        $channel->wait_for_pending_acks(PATIENCE);
        for ($n = 0; $n < 500; $n++) {
            expect_same(numbered_body($n), $channel->basic_get($queue, true)?->getBody(), "body $n");
        }
    });
});

$checks->add('mandatory-return', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $nowhere = unique('nowhere');
        $channel->confirm_select();
        $events = [];
        $channel->set_return_listener(
            function (int $code, string $text, string $exchange, string $key, AMQPMessage $message) use (&$events): void {
                $events[] = ['return', $code, $text, $exchange, $key, $message->getBody(), $message->get('app_id')];
            }
        );
        $channel->set_ack_handler(function (AMQPMessage $message) use (&$events): void {
            $events[] = ['ack', $message->getBody()];
        });
        $channel->basic_publish(new AMQPMessage('lost', ['app_id' => 'shop']), 'amq.direct', $nowhere, true);
        $channel->wait_for_pending_acks_returns(PATIENCE);
        expect_same([
            ['return', 312, 'NO_ROUTE', 'amq.direct', $nowhere, 'lost', 'shop'],
            ['ack', 'lost'],
        ], $events, 'return before its confirm');

        $events = [];
        $channel->basic_publish(new AMQPMessage('found'), '', $queue, true);
        $channel->basic_publish(new AMQPMessage('dropped'), 'amq.direct', $nowhere);
        $channel->wait_for_pending_acks_returns(PATIENCE);
        sort($events);
        expect_same([['ack', 'dropped'], ['ack', 'found']], $events, 'unroutable without mandatory, and routed');
    });
});

$checks->add('tx', function (): void {
    with_channel(function (AMQPChannel $channel, $connection): void {
        $queue = unique('tx');
        $channel->queue_declare($queue, auto_delete: false);
        $other = $connection->channel();
        $channel->tx_select();
        $channel->basic_publish(new AMQPMessage('rolled back'), '', $queue);
        $channel->tx_rollback();
        $channel->basic_publish(new AMQPMessage('committed 1'), '', $queue);
        $channel->basic_publish(new AMQPMessage('committed 2'), '', $queue);
        expect_same(0, $other->queue_declare($queue, true)[1], 'messages before the commit');
        $channel->tx_commit();
        expect_same(2, $other->queue_declare($queue, true)[1], 'messages after the commit');

        // An ack in a transaction that is rolled back did not happen.
        $channel->basic_get($queue)->ack();
        $channel->tx_rollback();
        $channel->basic_recover(true);
        $first = $channel->basic_get($queue);
        expect_same('committed 1', $first->getBody(), 'body after the rolled back ack');
        $first->ack();
        $channel->tx_commit();
        expect_same(['committed 2'], drain($other, $queue), 'left after the committed ack');
        $other->queue_delete($queue);
    });
});

$checks->add('properties-and-sizes', function (): void {
    with_channel(function (AMQPChannel $channel): void {
        $queue = temporary_queue($channel);
        $headers = [
            'string' => 'text', 'integer' => 42, 'negative' => -7, 'large' => 9_000_000_000, 'yes' => true,
            'no' => false, 'nothing' => null, 'list' => ['a', 1, true], 'table' => ['deep' => ['deeper' => 'x']],
        ];
        $properties = [
            'content_type' => 'text/plain', 'content_encoding' => 'utf-8', 'delivery_mode' => 1, 'priority' => 5,
            'correlation_id' => 'c-1', 'reply_to' => 'r-1', 'expiration' => '60000', 'message_id' => 'm-1',
            'timestamp' => 1_700_000_000, 'type' => 'order', 'user_id' => (new Broker())->user, 'app_id' => 'shop',
        ];
        $channel->basic_publish(
            new AMQPMessage("\0\xffbinary", $properties + ['application_headers' => new AMQPTable($headers)]),
            '',
            $queue
        );
        $message = $channel->basic_get($queue, true);
        expect_same("\0\xffbinary", $message->getBody(), 'body');
        foreach ($properties as $name => $value) {
            expect_same($value, $message->get($name), $name);
        }
        $back = $message->get('application_headers')->getNativeData();
        ksort($headers);
        ksort($back);
        expect_same($headers, $back, 'headers');

        // None, one, just under, at and over a frame, and many frames.
        foreach ([0, 1, 131_063, 131_064, 131_065, 3_000_000] as $size) {
            $body = $size === 0 ? '' : substr(str_repeat(random_bytes(1000), intdiv($size, 1000) + 1), 0, $size);
            $channel->basic_publish(new AMQPMessage($body), '', $queue);
            $back = $channel->basic_get($queue, true)?->getBody();
            expect($back === $body, "a body of $size octets came back different");
        }
    });
});
