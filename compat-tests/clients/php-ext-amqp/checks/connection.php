<?php
/**
 * Checks of connections and channels: opening, errors, heartbeats, closing. The extension does
 * not show the server's properties, so `connect` looks at what was negotiated.
 */

declare(strict_types=1);

$checks->add('connect', function (): void {
    $connection = connect(['channel_max' => 100, 'frame_max' => 65536, 'heartbeat' => 30]);
    expect($connection->isConnected(), 'the connection is not open');
    expect_same(100, $connection->getMaxChannels(), 'negotiated channels');
    expect_same(65536, $connection->getMaxFrameSize(), 'negotiated frame size');
    expect_same(30, $connection->getHeartbeatInterval(), 'negotiated heartbeat');
    $connection->disconnect();
});

$checks->add('pconnect', function (): void {
    $broker = new Broker();
    $connection = new AMQPConnection([
        'host' => $broker->host, 'port' => $broker->port, 'login' => $broker->user,
        'password' => $broker->password, 'vhost' => $broker->vhost, 'read_timeout' => PATIENCE,
    ]);
    $connection->pconnect();
    expect($connection->isPersistent(), 'the connection is not persistent');
    $queue = temporary_queue(new AMQPChannel($connection));
    (new AMQPExchange($queue->getChannel()))->publish('kept', $queue->getName());
    expect_same(['kept'], drain($queue), 'bodies');
    $connection->pdisconnect();
});

$checks->add('refused-password', function (): void {
    $refused = expect_throws(AMQPConnectionException::class, fn () => connect(['password' => 'wrong']));
    expect_same(403, $refused->getCode(), 'code');
    expect_same(
        'Server connection error: 403, message: ACCESS_REFUSED - Login was refused using authentication'
        . ' mechanism PLAIN. For details see the broker logfile. - Potential login failure.',
        $refused->getMessage(),
        'message'
    );
});

$checks->add('channel-error', function (): void {
    with_channel(function (AMQPChannel $channel, AMQPConnection $connection): void {
        $missing = unique('missing');
        $error = expect_throws(AMQPQueueException::class, fn () => waiting($channel, $missing));
        $vhost = (new Broker())->vhost;
        expect_same(404, $error->getCode(), 'code');
        expect_same(
            "Server channel error: 404, message: NOT_FOUND - no queue '$missing' in vhost '$vhost'",
            $error->getMessage(),
            'message'
        );
        expect(!$channel->isConnected(), 'the channel is still open after the error');
        expect($connection->isConnected(), 'the connection closed as well');

        $queue = temporary_queue(new AMQPChannel($connection));
        (new AMQPExchange($queue->getChannel()))->publish('after the error', $queue->getName());
        expect_same(['after the error'], drain($queue), 'a new channel on the same connection');
    });
});

$checks->add('publish-to-missing-exchange', function (): void {
    with_channel(function (AMQPChannel $channel, AMQPConnection $connection): void {
        $missing = unique('missing');
        $exchange = new AMQPExchange($channel);
        $exchange->setName($missing);
        $exchange->publish('nobody takes this', 'key');
        // Publishing is not answered: the error comes with the next call.
        $error = expect_throws(AMQPQueueException::class, fn () => temporary_queue($channel));
        $vhost = (new Broker())->vhost;
        expect_same(
            "Server channel error: 404, message: NOT_FOUND - no exchange '$missing' in vhost '$vhost'",
            $error->getMessage(),
            'message'
        );
        expect($connection->isConnected(), 'the connection closed as well');
    });
});

$checks->add('heartbeat-idle', function (): void {
    $interval = 2;
    $connection = connect(['heartbeat' => $interval, 'read_timeout' => 3.0 * $interval + 0.5]);
    expect_same($interval, $connection->getHeartbeatInterval(), 'negotiated heartbeat');
    $queue = queue(new AMQPChannel($connection), '', AMQP_EXCLUSIVE);
    $queue->declareQueue();
    // The extension tends its heartbeats while it waits for a message, and gives the connection up
    // when the server's stay away.
    $begin = microtime(true);
    $idle = expect_throws(AMQPQueueException::class, fn () => $queue->consume(fn () => false));
    expect_same('Consumer timeout exceed', $idle->getMessage(), 'end of the idle wait');
    expect(microtime(true) - $begin >= 3 * $interval, 'the wait ended early');
    $queue->cancel();
    (new AMQPExchange($queue->getChannel()))->publish('after idling', $queue->getName());
    expect_same(['after idling'], drain($queue), 'bodies');
    $connection->disconnect();
});

$checks->add('reconnect', function (): void {
    $connection = connect();
    $connection->reconnect();
    $queue = temporary_queue(new AMQPChannel($connection));
    (new AMQPExchange($queue->getChannel()))->publish('after reconnect', $queue->getName());
    expect_same(['after reconnect'], drain($queue), 'bodies');
    $connection->disconnect();
});

$checks->add('close', function (): void {
    $connection = connect();
    $first = new AMQPChannel($connection);
    $queue = temporary_queue(new AMQPChannel($connection));
    expect_same(2, $connection->getUsedChannels(), 'channels in use');
    $first->close();
    expect(!$first->isConnected(), 'the closed channel counts as open');
    (new AMQPExchange($queue->getChannel()))->publish('still here', $queue->getName());
    expect_same(['still here'], drain($queue), 'the other channel');
    $name = $queue->getName();
    $connection->disconnect();
    expect(!$connection->isConnected(), 'the closed connection counts as open');

    // The exclusive queue went with its connection.
    with_channel(function (AMQPChannel $channel) use ($name): void {
        $error = expect_throws(AMQPQueueException::class, fn () => waiting($channel, $name));
        expect_same(404, $error->getCode(), 'code for the gone exclusive queue');
    });
});
