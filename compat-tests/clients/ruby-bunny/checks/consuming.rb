# frozen_string_literal: true

# Checks of what a consumer leans on: get, requeue, RPC, prefetch, priorities, cancellation.

Checks.add("get") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    expect_same([nil, nil, nil], queue.pop, "pop from an empty queue")
    %w[first second third].each { |body| queue.publish(body) }
    delivery, _, body = queue.pop(manual_ack: true)
    expect_same(
      ["first", "", queue.name, false],
      [body, delivery.exchange, delivery.routing_key, delivery.redelivered],
      "first message"
    )
    channel.ack(delivery.delivery_tag)
    expect_same(%w[second third], drain(queue), "the rest, in no-ack mode")
    expect_same([nil, nil, nil], queue.pop, "pop when all is taken")
  end
end

Checks.add("requeue-redelivered") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    %w[a b c].each { |body| queue.publish(body) }
    tags = Array.new(2) { queue.pop(manual_ack: true).first.delivery_tag }
    # Back in the other order than they came: each returns to its own place.
    channel.nack(tags[1], false, true)
    channel.nack(tags[0], false, true)
    seen = Array.new(3) do
      delivery, _, body = queue.pop(manual_ack: true)
      channel.ack(delivery.delivery_tag)
      [body, delivery.redelivered]
    end
    expect_same([["a", true], ["b", true], ["c", false]], seen, "after nack with requeue")

    queue.publish("rejected")
    channel.reject(queue.pop(manual_ack: true).first.delivery_tag, false)
    expect_same([nil, nil, nil], queue.pop, "pop after reject without requeue")
  end
end

Checks.add("rpc-reply-queue") do
  with_channel do |channel, connection|
    requests = temporary_queue(connection.create_channel)
    requests.subscribe(manual_ack: true) do |delivery, properties, body|
      requests.channel.default_exchange.publish(
        (body.to_i**2).to_s, routing_key: properties.reply_to, correlation_id: properties.correlation_id
      )
      requests.channel.ack(delivery.delivery_tag)
    end

    replies = channel.queue("", exclusive: true)
    expect(replies.name.start_with?("amq.gen-"), "server-named queue is called #{replies.name}")
    inbox = Queue.new
    replies.subscribe { |_, properties, body| inbox << [properties.correlation_id, body] }
    200.times do |n|
      channel.default_exchange.publish(
        n.to_s, routing_key: requests.name, reply_to: replies.name, correlation_id: "call-#{n}"
      )
      expect_same([["call-#{n}", (n**2).to_s]], take(inbox, 1), "call #{n}")
    end
  end
end

Checks.add("prefetch-limit") do
  with_channel do |channel, connection|
    channel.prefetch(3)
    queue = temporary_queue(channel)
    10.times { |n| queue.publish(n.to_s) }
    inbox = Queue.new
    queue.subscribe(manual_ack: true) { |delivery, _, body| inbox << [body, delivery.delivery_tag] }
    held = take(inbox, 3)
    other = connection.create_channel.queue(queue.name, passive: true)
    expect_same(7, other.message_count, "messages waiting at prefetch 3")
    channel.ack(held.last.last, true)
    held += take(inbox, 3)
    expect_same(%w[0 1 2 3 4 5], held.map(&:first), "after a multiple ack")
    expect_same(4, other.message_count, "messages waiting afterwards")
    expect(inbox.empty?, "more than the prefetch was delivered")
  end
end

Checks.add("prefetch-global") do
  with_channel do |channel, connection|
    channel.basic_qos(4, true)
    inbox = Queue.new
    queues = Array.new(2) { temporary_queue(channel) }
    queues.each do |queue|
      5.times { |n| queue.publish(n.to_s) }
      queue.subscribe(manual_ack: true) { |delivery, _, _| inbox << delivery.delivery_tag }
    end
    take(inbox, 4)
    other = connection.create_channel
    waiting = queues.sum { |queue| other.queue(queue.name, passive: true).message_count }
    expect_same(6, waiting, "messages waiting when both consumers share a prefetch of 4")
  end
end

Checks.add("consumer-priority") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    inbox = Queue.new
    { "low" => 1, "high" => 10 }.each do |label, priority|
      queue.subscribe(arguments: { "x-priority" => priority }) { |_, _, body| inbox << [label, body] }
    end
    5.times { |n| queue.publish(n.to_s) }
    expect_same(Array.new(5) { |n| ["high", n.to_s] }, take(inbox, 5), "who received")
  end
end

Checks.add("exclusive-consumer") do
  with_channel do |channel, connection|
    queue = channel.queue(unique("exclusive-consumer"), auto_delete: true)
    queue.subscribe(exclusive: true) { |*| nil }
    other = connection.create_channel
    refused = expect_raises(Bunny::AccessRefused) do
      other.queue(queue.name, auto_delete: true).subscribe { |*| nil }
    end
    expect_same(
      "ACCESS_REFUSED - queue '#{queue.name}' in vhost '#{Broker.options[:vhost]}' in exclusive use",
      refused.message, "text"
    )
  end
end

Checks.add("consumer-cancel-notify") do
  with_channel do |channel, connection|
    queue = channel.queue(unique("cancelled"))
    cancelled = Queue.new
    consumer = Bunny::Consumer.new(channel, queue, "watcher")
    consumer.on_cancellation { |cancel| cancelled << cancel.consumer_tag }
    queue.subscribe_with(consumer)
    connection.create_channel.queue_delete(queue.name)
    expect_same(["watcher"], take(cancelled, 1), "tag of the cancelled consumer")
  end
end

Checks.add("cancel") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    stays = channel.queue("", exclusive: true)
    consumer = stays.subscribe { |*| nil }
    expect_same(consumer.consumer_tag, consumer.cancel.consumer_tag, "tag in cancel-ok")
    stays.publish("kept")
    expect_same(["kept"], drain(stays), "a message after the consumer left")

    # The last consumer of an auto-delete queue takes the queue with it.
    queue.subscribe { |*| nil }.cancel
    wait_until("the auto-delete queue is gone") { !channel.connection.queue_exists?(queue.name) }
  end
end

Checks.add("recover") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    queue.publish("again")
    expect_same("again", queue.pop(manual_ack: true).last, "first time")
    channel.recover
    delivery, _, body = queue.pop
    expect_same(["again", true], [body, delivery&.redelivered], "after recover")
  end
end

Checks.add("consumer-pool") do
  # Four worker threads share a channel, as a web application's workers do.
  with_channel do |_, connection|
    channel = connection.create_channel(nil, 4)
    channel.prefetch(20)
    queue = temporary_queue(channel)
    inbox = Queue.new
    queue.subscribe(manual_ack: true) do |delivery, _, body|
      inbox << body
      channel.ack(delivery.delivery_tag)
    end
    500.times { |n| queue.publish(n.to_s) }
    expect_same((0...500).to_a, take(inbox, 500).map(&:to_i).sort, "received by the pool")
  end
end
