<?php
/** Checks of connections and channels: opening, properties, errors, heartbeats, closing. */

declare(strict_types=1);

use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\Heartbeat\PCNTLHeartbeatSender;
use PhpAmqpLib\Exception\AMQPChannelClosedException;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Exception\AMQPTimeoutException;
use PhpAmqpLib\Message\AMQPMessage;

$checks->add('connect', function (): void {
    $connection = connect();
    expect($connection->isConnected(), 'the connection is not open');
    $properties = $connection->getServerProperties();
    // Each property is a pair of type and value.
    expect_same('RabbitMQ', $properties['product'][1] ?? null, 'product');
    expect(preg_match('/^\d+\.\d+\.\d+/', $properties['version'][1] ?? '') === 1, 'version is not dotted numbers');
    $capabilities = $properties['capabilities'][1] ?? [];
    foreach (
        ['publisher_confirms', 'exchange_exchange_bindings', 'basic.nack', 'consumer_cancel_notify',
            'per_consumer_qos', 'authentication_failure_close'] as $capability
    ) {
        expect((bool) ($capabilities[$capability][1] ?? false), "capability $capability is missing");
    }
    $connection->close();
});

$checks->add('connect-socket-io', function (): void {
    $connection = connect(function (AMQPConnectionConfig $config): void {
        $config->setIoType(AMQPConnectionConfig::IO_TYPE_SOCKET);
    });
    $channel = $connection->channel();
    $queue = temporary_queue($channel);
    $channel->basic_publish(new AMQPMessage('through sockets'), '', $queue);
    expect_same(['through sockets'], drain($channel, $queue), 'bodies');
    $connection->close();
});

// The library's own default, which all other checks use, is AMQPLAIN.
$checks->add('connect-plain', function (): void {
    $connection = connect(function (AMQPConnectionConfig $config): void {
        $config->setLoginMethod(AMQPConnectionConfig::AUTH_PLAIN);
    });
    expect($connection->isConnected(), 'not connected with PLAIN');
    $connection->close();
});

$checks->add('refused-password', function (): void {
    $refused = expect_throws(AMQPConnectionClosedException::class, function (): void {
        connect(function (AMQPConnectionConfig $config): void {
            $config->setLoginMethod(AMQPConnectionConfig::AUTH_PLAIN);
            $config->setPassword('wrong');
        });
    });
    expect_same(
        'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.'
        . ' For details see the broker logfile.',
        preg_replace('/\(0, 0\)$/', '', $refused->getMessage()),
        'reason'
    );
    expect_same(403, $refused->getCode(), 'code');
});

$checks->add('channel-error', function (): void {
    with_channel(function ($channel, $connection): void {
        $missing = unique('missing');
        $error = expect_throws(
            AMQPProtocolChannelException::class,
            fn () => $channel->queue_declare($missing, true)
        );
        expect_same(404, $error->amqp_reply_code, 'reply code');
        $vhost = (new Broker())->vhost;
        expect_same("NOT_FOUND - no queue '$missing' in vhost '$vhost'", $error->amqp_reply_text, 'reply text');
        expect_same([50, 10], $error->amqp_method_sig, 'method that failed');
        expect(!$channel->is_open(), 'the channel is still open after the error');
        expect($connection->isConnected(), 'the connection closed as well');

        $next = $connection->channel();
        $queue = temporary_queue($next);
        $next->basic_publish(new AMQPMessage('after the error'), '', $queue);
        expect_same(['after the error'], drain($next, $queue), 'a new channel on the same connection');
    });
});

$checks->add('inequivalent-declare', function (): void {
    with_channel(function ($channel, $connection): void {
        $queue = unique('inequivalent');
        $channel->queue_declare($queue, durable: true, auto_delete: false);
        $error = expect_throws(
            AMQPProtocolChannelException::class,
            fn () => $channel->queue_declare($queue, durable: false, auto_delete: false)
        );
        $vhost = (new Broker())->vhost;
        expect_same(406, $error->amqp_reply_code, 'reply code');
        expect_same(
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '$queue' in vhost '$vhost':"
            . " received 'false' but current is 'true'",
            $error->amqp_reply_text,
            'reply text'
        );
        $connection->channel()->queue_delete($queue);
    });
});

$checks->add('heartbeat-idle', function (): void {
    $interval = 2;
    $connection = connect(fn (AMQPConnectionConfig $config) => $config->setHeartbeat($interval));
    expect_same($interval, $connection->getHeartbeat(), 'negotiated heartbeat');
    $sender = new PCNTLHeartbeatSender($connection);
    $sender->register();
    try {
        $channel = $connection->channel();
        $queue = temporary_queue($channel);
        $received = [];
        $channel->basic_consume($queue, no_ack: true, callback: function (AMQPMessage $message) use (&$received): void {
            $received[] = $message->getBody();
        });
        // Idle on purpose. The library throws by itself when the server's heartbeats stay away.
        $end = microtime(true) + 3 * $interval;
        while (microtime(true) < $end) {
            try {
                $channel->wait(null, false, 1);
            } catch (AMQPTimeoutException) {
                continue;
            }
        }
        $channel->basic_publish(new AMQPMessage('after idling'), '', $queue);
        $channel->wait(null, false, PATIENCE);
        expect_same(['after idling'], $received, 'received');
    } finally {
        $sender->unregister();
        $connection->close();
    }
});

$checks->add('reconnect', function (): void {
    $connection = connect();
    $connection->channel();
    $connection->reconnect();
    expect($connection->isConnected(), 'not connected');
    $channel = $connection->channel();
    $queue = temporary_queue($channel);
    $channel->basic_publish(new AMQPMessage('after reconnect'), '', $queue);
    expect_same(['after reconnect'], drain($channel, $queue), 'bodies');
    $connection->close();
});

$checks->add('close', function (): void {
    $connection = connect();
    $first = $connection->channel();
    $second = $connection->channel();
    $queue = temporary_queue($second);
    $first->close();
    expect(!$first->is_open(), 'the closed channel counts as open');
    expect_throws(AMQPChannelClosedException::class, fn () => $first->basic_publish(new AMQPMessage('x'), '', $queue));
    $second->basic_publish(new AMQPMessage('still here'), '', $queue);
    expect_same(['still here'], drain($second, $queue), 'the other channel');
    $connection->close();
    expect(!$connection->isConnected(), 'the closed connection counts as open');

    // The exclusive queue went with its connection.
    with_channel(function ($channel) use ($queue): void {
        $error = expect_throws(
            AMQPProtocolChannelException::class,
            fn () => $channel->queue_declare($queue, true)
        );
        expect_same(404, $error->amqp_reply_code, 'reply code for the gone exclusive queue');
    });
});
