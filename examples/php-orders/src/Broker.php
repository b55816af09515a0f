<?php

declare(strict_types=1);

namespace Shop;

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPConnectionFactory;
use PhpAmqpLib\Exception\AMQPExceptionInterface;

/**
 * One connection to the broker with one channel, opened when it is first needed and again after it
 * was dropped. Knows the shop's exchange and queues, and nothing of what travels through them.
 */
final class Broker
{
    /** Seconds: the connection counts as dead when nothing came for twice as long. */
    private const HEARTBEAT = 10;

    /** Seconds to wait for an answer of the broker. */
    private const ANSWER = 20;

    /** Seconds between two attempts to connect: the first pause, and the longest. */
    private const PAUSE_FIRST = 0.1;
    private const PAUSE_MAX = 2.0;

    private ?AMQPChannel $channel = null;

    public function __construct(private readonly Settings $settings, private readonly string $connectionName)
    {
    }

    /** The topic exchange that all events of the shop go to. */
    public function events(): string
    {
        return "{$this->settings->name}.events";
    }

    /** The worker's queue. */
    public function ordersQueue(): string
    {
        return "{$this->settings->name}.orders";
    }

    /** The notifier's queue. */
    public function notificationsQueue(): string
    {
        return "{$this->settings->name}.notifications";
    }

    public function isOpen(): bool
    {
        return $this->channel !== null;
    }

    /**
     * The open channel. Connects when there is none, and tries again until $until (a microtime).
     *
     * @param callable(AMQPChannel): void $prepare what the user of a new channel does to it first
     * @throws AMQPExceptionInterface of the last attempt when the time is over
     */
    public function channel(callable $prepare, float $until = INF): AMQPChannel
    {
        $pause = self::PAUSE_FIRST;
        while ($this->channel === null) {
            try {
                $channel = $this->connect();
                $this->declareTopology($channel);
                $prepare($channel);
                $this->channel = $channel;
            } catch (AMQPExceptionInterface $problem) {
                if (microtime(true) + $pause > $until) {
                    throw $problem;
                }
                Log::line("no broker yet ({$problem->getMessage()}), next attempt in $pause s");
                usleep((int) ($pause * 1e6));
                $pause = min(2 * $pause, self::PAUSE_MAX);
            }
        }
        return $this->channel;
    }

    /** Forgets the channel; what it had not acknowledged the broker delivers again. */
    public function drop(): void
    {
        $connection = $this->channel?->getConnection();
        $this->channel = null;
        try {
            $connection?->close();
        } catch (\Exception) {
            // It was broken, that is why it is dropped.
        }
    }

    /** Removes what declareTopology() made. */
    public function removeTopology(): void
    {
        $channel = $this->connect();
        $channel->queue_delete($this->ordersQueue());
        $channel->queue_delete($this->notificationsQueue());
        $channel->exchange_delete($this->events());
        $channel->getConnection()->close();
    }

    /** Messages waiting in a queue. */
    public function waiting(string $queue): int
    {
        [, $messages] = $this->channel(fn () => null)->queue_declare($queue, passive: true);
        return $messages;
    }

    private function connect(): AMQPChannel
    {
        $url = parse_url($this->settings->brokerUrl);
        $config = new AMQPConnectionConfig();
        $config->setHost($url['host'] ?? '127.0.0.1');
        $config->setPort($url['port'] ?? 5672);
        $config->setUser(rawurldecode($url['user'] ?? 'guest'));
        $config->setPassword(rawurldecode($url['pass'] ?? 'guest'));
        $config->setVhost(rawurldecode(substr($url['path'] ?? '/%2f', 1)));
        $config->setHeartbeat(self::HEARTBEAT);
        $config->setConnectionTimeout(self::ANSWER);
        $config->setReadTimeout(2 * self::HEARTBEAT);
        $config->setWriteTimeout(2 * self::HEARTBEAT);
        $config->setChannelRPCTimeout(self::ANSWER);
        $config->setConnectionName($this->connectionName);
        return AMQPConnectionFactory::create($config)->channel();
    }

    /**
     * Everybody declares everything: whoever comes first finds all queues bound, so that no order
     * is published before the worker's queue exists. Declaring what exists changes nothing.
     */
    private function declareTopology(AMQPChannel $channel): void
    {
        $channel->exchange_declare($this->events(), 'topic', durable: true, auto_delete: false);
        foreach ([$this->ordersQueue(), $this->notificationsQueue()] as $queue) {
            $channel->queue_declare($queue, durable: true, auto_delete: false);
            $channel->queue_bind($queue, $this->events(), 'order.created.#');
        }
    }
}
