<?php
/** The amqp extension (pecl amqp over librabbitmq), unmodified, and the steps many checks begin with. */

declare(strict_types=1);

/** Seconds after which any answer of the broker counts as missing. */
const PATIENCE = 30;

function connect(array $change = []): AMQPConnection
{
    $broker = new Broker();
    $connection = new AMQPConnection($change + [
        'host' => $broker->host,
        'port' => $broker->port,
        'login' => $broker->user,
        'password' => $broker->password,
        'vhost' => $broker->vhost,
        'connect_timeout' => PATIENCE,
        'read_timeout' => PATIENCE,
        'write_timeout' => PATIENCE,
        'rpc_timeout' => PATIENCE,
        'connection_name' => 'compat php-ext-amqp',
    ]);
    $connection->connect();
    return $connection;
}

/** Opens a connection and a channel for $body, and closes both whatever happens. */
function with_channel(callable $body): void
{
    $connection = connect();
    try {
        $body(new AMQPChannel($connection), $connection);
    } finally {
        $connection->disconnect();
    }
}

/** A queue object; nothing is declared yet. */
function queue(AMQPChannel $channel, string $name, int $flags = AMQP_NOPARAM): AMQPQueue
{
    $queue = new AMQPQueue($channel);
    if ($name !== '') {
        $queue->setName($name);
    }
    $queue->setFlags($flags);
    return $queue;
}

/** A server-named exclusive queue: it goes away with the connection. */
function temporary_queue(AMQPChannel $channel): AMQPQueue
{
    $queue = queue($channel, '', AMQP_EXCLUSIVE | AMQP_AUTODELETE);
    $queue->declareQueue();
    return $queue;
}

/** An auto-delete exchange of the check's own. */
function temporary_exchange(AMQPChannel $channel, string $suffix, string $type, array $arguments = []): AMQPExchange
{
    $exchange = new AMQPExchange($channel);
    $exchange->setName(unique($suffix));
    $exchange->setType($type);
    $exchange->setFlags(AMQP_AUTODELETE);
    $exchange->setArguments($arguments);
    $exchange->declareExchange();
    return $exchange;
}

/** The bodies that wait in $queue, sorted; takes them out. */
function drain(AMQPQueue $queue): array
{
    $bodies = [];
    while ($envelope = $queue->get(AMQP_AUTOACK)) {
        $bodies[] = $envelope->getBody();
    }
    sort($bodies);
    return $bodies;
}

/** Messages waiting in the queue of that name, as a passive declare tells. */
function waiting(AMQPChannel $channel, string $name): int
{
    return queue($channel, $name, AMQP_PASSIVE)->declareQueue();
}

/**
 * Waits until the broker has acknowledged every message up to publish number $last of a channel
 * in confirm mode; false from a callback ends the extension's wait.
 */
function wait_for_confirms(AMQPChannel $channel, int $last): void
{
    /** @var WeakMap<AMQPChannel, array<int, true>> publish numbers that are still awaited */
    static $awaited = new WeakMap();
    /** @var WeakMap<AMQPChannel, int> the highest publish number ever waited for */
    static $highest = new WeakMap();
    $awaited[$channel] = ($awaited[$channel] ?? []) + array_fill_keys(range(($highest[$channel] ?? 0) + 1, $last), true);
    $highest[$channel] = $last;

    $channel->setConfirmCallback(
        function (int $tag, bool $multiple) use (&$awaited, $channel): bool {
            $awaited[$channel] = $multiple
                ? array_filter($awaited[$channel], fn (int $number): bool => $number > $tag, ARRAY_FILTER_USE_KEY)
                : array_diff_key($awaited[$channel], [$tag => true]);
            return $awaited[$channel] !== [];
        },
        function (int $tag): bool {
            throw new CheckFailed("the broker refused message $tag");
        }
    );
    $channel->waitForConfirm(PATIENCE);
    expect_same([], $awaited[$channel], 'unconfirmed messages');
}
