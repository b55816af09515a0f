<?php
/** php-amqplib, unmodified, and the few steps that many checks begin with. */

declare(strict_types=1);

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AbstractConnection;
use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPConnectionFactory;
use PhpAmqpLib\Message\AMQPMessage;

require_once 'PhpAmqpLib/autoload.php';

/** Seconds after which any answer of the broker counts as missing. */
const PATIENCE = 30;

/** The settings of an ordinary connection; $change may alter them before it is opened. */
function connect(?callable $change = null): AbstractConnection
{
    $broker = new Broker();
    $config = new AMQPConnectionConfig();
    $config->setHost($broker->host);
    $config->setPort($broker->port);
    $config->setUser($broker->user);
    $config->setPassword($broker->password);
    $config->setVhost($broker->vhost);
    $config->setConnectionTimeout(PATIENCE);
    $config->setReadTimeout(PATIENCE);
    $config->setWriteTimeout(PATIENCE);
    $config->setChannelRPCTimeout(PATIENCE);
    $config->setConnectionName('compat php-amqplib');
    if ($change !== null) {
        $change($config);
    }
    return AMQPConnectionFactory::create($config);
}

/** Opens a connection and a channel for $body, and closes both whatever happens. */
function with_channel(callable $body): void
{
    $connection = connect();
    try {
        $body($connection->channel(), $connection);
    } finally {
        $connection->close();
    }
}

/** A server-named exclusive queue: it goes away with the connection. */
function temporary_queue(AMQPChannel $channel): string
{
    [$queue] = $channel->queue_declare('', false, false, true, true);
    return $queue;
}

/** An auto-delete exchange of the check's own. */
function temporary_exchange(AMQPChannel $channel, string $suffix, string $type, array $arguments = []): string
{
    $name = unique($suffix);
    $channel->exchange_declare(
        $name,
        $type,
        auto_delete: true,
        arguments: new PhpAmqpLib\Wire\AMQPTable($arguments)
    );
    return $name;
}

/** The bodies that wait in $queue, sorted; takes them out. */
function drain(AMQPChannel $channel, string $queue): array
{
    $bodies = [];
    while (($message = $channel->basic_get($queue, true)) !== null) {
        $bodies[] = $message->getBody();
    }
    sort($bodies);
    return $bodies;
}

/** Publishes on a channel in confirm mode and waits until the broker has taken the message. */
function publish_confirmed(AMQPChannel $channel, AMQPMessage $message, string $exchange, string $key): void
{
    $channel->basic_publish($message, $exchange, $key);
    $channel->wait_for_pending_acks(PATIENCE);
}
