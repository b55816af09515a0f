<?php

declare(strict_types=1);

namespace Shop;

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * Takes orders from a queue, one at a time, until SIGTERM. An order is acknowledged after it was
 * handled; when the broker or the database goes away in between, it comes again.
 */
final class Consumer
{
    /** Orders the broker sends ahead while one is handled. */
    private const PREFETCH = 50;

    /** Seconds between two looks at the stop sign. */
    private const POLL = 1.0;

    /** Microseconds to wait after a failure, so that a lasting one does not keep us busy. */
    private const PAUSE = 200_000;

    private bool $stopping = false;

    /** @param callable(Order): void $handle may get the same order again */
    public function __construct(
        private readonly Broker $broker,
        private readonly string $queue,
        private readonly mixed $handle,
    ) {
    }

    public function run(): void
    {
        pcntl_async_signals(true);
        pcntl_signal(SIGTERM, fn () => $this->stop());
        pcntl_signal(SIGINT, fn () => $this->stop());
        while (!$this->stopping) {
            try {
                $channel = $this->broker->channel($this->prepare(...));
                $this->stopping || $channel->consume(self::POLL);
            } catch (AMQPExceptionInterface | \PDOException $lost) {
                Log::line('connection lost: ' . $lost->getMessage());
                $this->broker->drop();
                usleep(self::PAUSE);
            }
        }
        $this->broker->drop();
    }

    private function prepare(AMQPChannel $channel): void
    {
        $channel->basic_qos(0, self::PREFETCH, false);
        $channel->basic_consume($this->queue, callback: $this->receive(...));
        Log::line("consuming from $this->queue");
    }

    private function receive(AMQPMessage $message): void
    {
        try {
            $order = Order::fromJson($message->getBody());
        } catch (InvalidOrder $problem) {
            // It would be as wrong the next time: out of the way, and into the log.
            Log::line("not an order: {$problem->getMessage()}: {$message->getBody()}");
            $message->reject(false);
            return;
        }
        ($this->handle)($order);
        $message->ack();
    }

    private function stop(): void
    {
        $this->stopping = true;
        if ($this->broker->isOpen()) {
            $this->broker->channel(fn () => null)->stopConsume();
        }
    }
}
