# frozen_string_literal: true

# Checks of connections and channels: opening, properties, errors, heartbeats, closing.

Checks.add("connect") do
  connection = connect
  expect(connection.open?, "the connection is not open")
  properties = connection.server_properties
  expect_same("RabbitMQ", properties["product"], "product")
  expect(properties["version"].match?(/\A\d+\.\d+\.\d+/), "version is not dotted numbers: #{properties['version']}")
  %w[publisher_confirms exchange_exchange_bindings basic.nack consumer_cancel_notify
     per_consumer_qos authentication_failure_close].each do |capability|
    expect_same(true, properties["capabilities"][capability], "capability #{capability}")
  end
  connection.close
end

Checks.add("refused-password") do
  refused = expect_raises(Bunny::AuthenticationFailureError) { connect(password: "wrong") }
  expect(refused.message.include?("Authentication with RabbitMQ failed"), refused.message)
end

Checks.add("refused-vhost") do
  refused = expect_raises(Bunny::NotAllowedError) do
    connect(vhost: "/no-such-vhost", session_error_handler: Thread.current)
  end
  expect_same("Connection-level error: NOT_ALLOWED - vhost /no-such-vhost not found", refused.message, "message")
end

Checks.add("channel-error") do
  with_channel do |channel, connection|
    missing = unique("missing")
    error = expect_raises(Bunny::NotFound) { channel.queue(missing, passive: true) }
    expect_same("NOT_FOUND - no queue '#{missing}' in vhost '#{Broker.options[:vhost]}'", error.message, "text")
    expect_same(404, error.channel_close.reply_code, "reply code")
    expect_same([50, 10], [error.channel_close.class_id, error.channel_close.method_id], "method that failed")
    expect(channel.closed?, "the channel is still open after the error")

    expect(!connection.queue_exists?(missing), "queue_exists? says yes to a missing queue")
    queue = temporary_queue(connection.create_channel)
    queue.publish("after the error")
    expect_same(["after the error"], drain(queue), "a new channel on the same connection")
  end
end

Checks.add("inequivalent-declare") do
  with_channel do |channel, connection|
    name = unique("inequivalent")
    channel.queue(name, durable: true)
    error = expect_raises(Bunny::PreconditionFailed) do
      connection.create_channel.queue(name, durable: false)
    end
    expect_same(
      "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '#{name}' in vhost " \
      "'#{Broker.options[:vhost]}': received 'false' but current is 'true'",
      error.message, "text"
    )
    channel.queue_delete(name)
  end
end

Checks.add("unknown-delivery-tag") do
  with_channel do |channel, connection|
    closes = Queue.new
    channel.on_error { |_, close| closes << [close.reply_code, close.reply_text] }
    channel.basic_ack(99)
    expect_same([[406, "PRECONDITION_FAILED - unknown delivery tag 99"]], take(closes, 1), "channel error")
    expect(connection.open?, "the connection closed as well")
  end
end

Checks.add("exclusive-queue-is-locked") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    with_channel do |other|
      error = expect_raises(Bunny::ResourceLocked) { other.queue(queue.name, passive: true) }
      expect_same(405, error.channel_close.reply_code, "reply code")
    end
  end
end

Checks.add("heartbeat-idle") do
  interval = 2
  # Without recovery a missed heartbeat would show as a closed connection.
  connection = connect(heartbeat: interval, automatically_recover: false)
  expect_same(interval, connection.heartbeat, "negotiated heartbeat")
  queue = temporary_queue(connection.create_channel)
  inbox = Queue.new
  queue.subscribe { |_, _, body| inbox << body }
  sleep 3 * interval # idle on purpose: the library's own threads keep the connection
  expect(connection.open?, "the connection closed while idle")
  queue.publish("after idling")
  expect_same(["after idling"], take(inbox, 1), "received")
  connection.close
end

Checks.add("close") do
  connection = connect
  first = connection.create_channel
  queue = temporary_queue(connection.create_channel)
  first.close
  expect(first.closed?, "the closed channel counts as open")
  expect_raises(Bunny::ChannelAlreadyClosed) { first.default_exchange.publish("x", routing_key: queue.name) }
  queue.publish("still here")
  expect_same(["still here"], drain(queue), "the other channel")
  reused = connection.create_channel
  expect_same(first.number, reused.number, "number of the next channel")
  expect_same(0, reused.temporary_queue.message_count, "a channel with a number used before")
  connection.close
  expect(connection.closed?, "the closed connection counts as open")

  # The exclusive queue went with its connection.
  with_channel { |_, other| expect(!other.queue_exists?(queue.name), "the exclusive queue is still there") }
end

Checks.add("many-channels") do
  with_channel do |_, connection|
    channels = Array.new(200) { connection.create_channel }
    queues = channels.map { |channel| temporary_queue(channel) }
    queues.each_with_index { |queue, n| queue.publish(n.to_s) }
    queues.each_with_index { |queue, n| expect_same([n.to_s], drain(queue), "channel #{n}") }
    channels.each(&:close)
  end
end
