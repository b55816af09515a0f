# frozen_string_literal: true

# Checks of what a publisher leans on: declarations, confirms, returns, transactions, content.

require "digest"
require "json"

MESSAGES = 10_000

# Body number +n+ of a numbered run of messages: it can be checked without being remembered.
def numbered_body(n)
  JSON.generate(n: n, digest: Digest::MD5.hexdigest("message #{n}"))
end

Checks.add("declare") do
  with_channel do |channel, connection|
    name = unique("declare")
    queue = channel.queue(name, durable: true, arguments: { "x-compat" => "kept" })
    expect_same({ message_count: 0, consumer_count: 0 }, queue.status, "status of a new queue")
    queue.subscribe { |*| nil }
    expect_same(1, queue.consumer_count, "consumers")
    expect(connection.queue_exists?(name), "queue_exists? says no")

    exchange = channel.topic(unique("declare"), durable: true)
    channel.topic(exchange.name, durable: true)
    expect(connection.exchange_exists?(exchange.name), "exchange_exists? says no")
    queue.bind(exchange, routing_key: "a.#").unbind(exchange, routing_key: "a.#")
    exchange.delete
    expect(!connection.exchange_exists?(exchange.name), "the deleted exchange is still there")

    waiting = channel.queue(unique("declare.waiting"))
    channel.confirm_select
    5.times { |n| waiting.publish(n.to_s) }
    expect(channel.wait_for_confirms, "a message was refused")
    expect_same(5, channel.queue_purge(waiting.name).message_count, "purge count")
    waiting.publish("one")
    channel.wait_for_confirms
    expect_same(1, waiting.delete.message_count, "delete count")
    queue.delete
  end
end

Checks.add("confirm-publish-10000") do
  with_channel do |channel|
    queue = channel.queue(unique("many"), durable: true)
    channel.confirm_select
    MESSAGES.times do |n|
      queue.publish(numbered_body(n), persistent: true, content_type: "application/json", message_id: "m#{n}")
    end
    expect(channel.wait_for_confirms, "the broker refused some: #{channel.nacked_set.size}")
    expect_same(MESSAGES, queue.message_count, "messages in the queue")
  end
end

# Takes the messages of the check before it.
Checks.add("consume-prefetch-ack") do
  with_channel do |channel, connection|
    channel.prefetch(50)
    queue = channel.queue(unique("many"), durable: true)
    inbox = Queue.new
    consumer = queue.subscribe(manual_ack: true) do |delivery, properties, body|
      inbox << [delivery.delivery_tag.to_i, delivery.redelivered?, properties.message_id,
                properties.delivery_mode, properties.content_type, body]
      channel.ack(delivery.delivery_tag)
    end
    MESSAGES.times do |n|
      expect_same(
        [n + 1, false, "m#{n}", 2, "application/json", numbered_body(n)], take(inbox, 1).first, "message #{n}"
      )
    end
    consumer.cancel
    channel.close
    again = connection.create_channel.queue(queue.name, durable: true)
    expect_same(0, again.message_count, "messages left")
    again.delete
  end
end

Checks.add("mandatory-return") do
  with_channel do |channel|
    nowhere = unique("nowhere")
    exchange = channel.exchange("amq.direct", type: :direct, durable: true, auto_delete: false)
    returns = Queue.new
    exchange.on_return do |info, properties, body|
      returns << [info.reply_code, info.reply_text, info.exchange, info.routing_key, properties.app_id, body]
    end
    channel.confirm_select
    exchange.publish("dropped", routing_key: nowhere)
    exchange.publish("lost", routing_key: nowhere, mandatory: true, app_id: "shop")
    expect(channel.wait_for_confirms, "an unroutable message was refused")
    expect_same([[312, "NO_ROUTE", "amq.direct", nowhere, "shop", "lost"]], take(returns, 1), "returned message")
    expect(returns.empty?, "the message without mandatory was returned")
  end
end

Checks.add("tx") do
  with_channel do |channel, connection|
    queue = channel.queue(unique("tx"))
    other = connection.create_channel.queue(queue.name)
    channel.tx_select
    queue.publish("rolled back")
    channel.tx_rollback
    queue.publish("committed 1")
    queue.publish("committed 2")
    expect_same(0, other.message_count, "messages before the commit")
    channel.tx_commit
    expect_same(2, other.message_count, "messages after the commit")

    # An ack in a transaction that is rolled back did not happen.
    delivery, = queue.pop(manual_ack: true)
    channel.ack(delivery.delivery_tag)
    channel.tx_rollback
    channel.recover
    delivery, _, body = queue.pop(manual_ack: true)
    expect_same("committed 1", body, "body after the rolled back ack")
    channel.ack(delivery.delivery_tag)
    channel.tx_commit
    expect_same(["committed 2"], drain(other), "left after the committed ack")
    other.delete
  end
end

Checks.add("properties-and-sizes") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    headers = {
      "string" => "text", "integer" => 42, "negative" => -7, "large" => 9_000_000_000, "yes" => true, "no" => false,
      "nothing" => nil, "fraction" => 0.5, "time" => Time.at(1_700_000_000), "list" => ["a", 1],
      "table" => { "deep" => { "deeper" => "x" } },
    }
    properties = {
      content_type: "text/plain", content_encoding: "utf-8", delivery_mode: 1, priority: 5, correlation_id: "c-1",
      reply_to: "r-1", expiration: "60000", message_id: "m-1", timestamp: 1_700_000_000, type: "order",
      user_id: Broker.options[:user], app_id: "shop",
    }
    binary = "\x00\xFFbinary".b
    # bunny writes the delivery mode from `persistent`.
    queue.publish(binary, properties.except(:delivery_mode).merge(headers: headers, persistent: false))
    _, back, body = queue.pop
    expect_same(binary, body.b, "body")
    properties[:timestamp] = Time.at(properties[:timestamp])
    properties.each { |name, value| expect_same(value, back[name], name.to_s) }
    expect_same(headers, back.headers, "headers")

    # None, one, just under, at and over a frame, and many frames.
    [0, 1, 131_063, 131_064, 131_065, 3_000_000].each do |size|
      sent = SecureRandom.random_bytes(size)
      queue.publish(sent)
      _, _, came = queue.pop
      expect(came&.b == sent, "a body of #{size} octets came back different")
    end
  end
end
