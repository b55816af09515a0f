<?php

declare(strict_types=1);

namespace Shop;

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Exception\AMQPRuntimeException;
use PhpAmqpLib\Exception\AMQPTimeoutException;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * Publishes orders so that none is lost: an order is kept here until the broker has confirmed it,
 * and everything not confirmed is published again on the next connection. The price is that the
 * broker may get an order twice, when it was the confirm that got lost; the worker copes with that.
 */
final class Publisher
{
    /** Orders that may be on their way unconfirmed before publish() waits. */
    private const UNCONFIRMED_MAX = 200;

    /** Seconds without any confirm after which the connection is given up. */
    private const SILENCE_MAX = 10.0;

    /** @var array<string, Order> by id, in the order they were placed */
    private array $unconfirmed = [];

    /** @var array<string, true> ids that the broker had no queue for */
    private array $unroutable = [];

    /** @var array<string, true> ids of unconfirmed orders that went out at least once */
    private array $sent = [];

    /** How often an order was published again. */
    private int $republished = 0;

    /** @param callable(Order): void $confirmed is told of each order that is safe */
    public function __construct(private readonly Broker $broker, private readonly mixed $confirmed)
    {
    }

    public function republished(): int
    {
        return $this->republished;
    }

    /**
     * Sends an order on its way; it is not safe before it was confirmed. Without a broker it waits
     * for one until $until (a microtime), and keeps the order for later after that.
     *
     * @throws AMQPExceptionInterface when too many orders are unconfirmed until then
     */
    public function publish(Order $order, float $until = INF): void
    {
        if (count($this->unconfirmed) >= self::UNCONFIRMED_MAX) {
            $this->flush($until);
        }
        $this->unconfirmed[$order->id] = $order;
        try {
            if ($this->broker->isOpen()) {
                $this->send($this->channel($until), $order);
            } else {
                $this->channel($until); // a new channel publishes everything unconfirmed
            }
        } catch (AMQPExceptionInterface $lost) {
            $this->lost($lost);
        }
    }

    /** Tells that a basket was left behind. Nobody depends on it: no confirm, no second attempt. */
    public function basketAbandoned(string $country): void
    {
        $message = new AMQPMessage('{}', ['content_type' => 'application/json']);
        try {
            $this->channel(INF)->basic_publish($message, $this->broker->events(), "basket.abandoned.$country");
        } catch (AMQPExceptionInterface $lost) {
            $this->lost($lost);
        }
    }

    /** Takes in confirms for some seconds; with a broker away this is when it is looked for. */
    public function tend(float $seconds): void
    {
        $end = microtime(true) + $seconds;
        while (($left = $end - microtime(true)) > 0) {
            try {
                $this->channel(INF)->wait(null, false, $left);
            } catch (AMQPTimeoutException) {
                return;
            } catch (AMQPExceptionInterface $lost) {
                $this->lost($lost);
            }
        }
    }

    /**
     * Waits until every order is confirmed.
     *
     * @throws AMQPExceptionInterface when that is not so until $until (a microtime)
     */
    public function flush(float $until = INF): void
    {
        while ($this->unconfirmed !== []) {
            try {
                $patience = min(self::SILENCE_MAX, max(0.001, $until - microtime(true)));
                $this->channel($until)->wait(null, false, $patience);
            } catch (AMQPExceptionInterface $lost) {
                $this->lost($lost);
                if (microtime(true) >= $until) {
                    throw $lost;
                }
            }
        }
    }

    private function lost(AMQPExceptionInterface $lost): void
    {
        Log::line('connection lost: ' . $lost->getMessage());
        $this->broker->drop();
    }

    private function channel(float $until): AMQPChannel
    {
        return $this->broker->channel($this->prepare(...), $until);
    }

    /** Makes a new channel ours: confirms on, and everything unconfirmed published again. */
    private function prepare(AMQPChannel $channel): void
    {
        $channel->confirm_select();
        $channel->set_return_listener(function (int $code, string $text, $exchange, $key, AMQPMessage $message): void {
            Log::line("order {$message->get('message_id')} came back: $code $text");
            $this->unroutable[$message->get('message_id')] = true;
        });
        $channel->set_ack_handler($this->acknowledged(...));
        $channel->set_nack_handler($this->refused(...));
        foreach ($this->unconfirmed as $order) {
            $this->send($channel, $order);
        }
    }

    private function send(AMQPChannel $channel, Order $order): void
    {
        $message = new AMQPMessage($order->toJson(), [
            'content_type' => 'application/json',
            'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
            'message_id' => $order->id,
            'app_id' => 'shop',
        ]);
        $this->republished += isset($this->sent[$order->id]) ? 1 : 0;
        $this->sent[$order->id] = true;
        // Mandatory: an order that no queue takes comes back instead of vanishing.
        $channel->basic_publish($message, $this->broker->events(), $order->routingKey(), true);
    }

    private function acknowledged(AMQPMessage $message): void
    {
        $id = $message->has('message_id') ? $message->get('message_id') : '';
        if (isset($this->unroutable[$id])) {
            $this->refused($message);
        }
        if (isset($this->unconfirmed[$id])) {
            $order = $this->unconfirmed[$id];
            unset($this->unconfirmed[$id], $this->sent[$id]);
            ($this->confirmed)($order);
        }
    }

    /** The broker did not take a message: all over again, from declaring the queues on. */
    private function refused(AMQPMessage $message): never
    {
        $this->unroutable = [];
        throw new AMQPRuntimeException("message {$message->get('message_id')} was refused");
    }
}
