# frozen_string_literal: true

# bunny's automatic recovery: after the network fails it declares, binds and subscribes anew.

require_relative "../proxy"

Checks.add("connection-recovery") do
  proxy = Proxy.new(Broker.options[:host], Broker.options[:port])
  recovered = Queue.new
  connection = connect(
    host: "127.0.0.1", port: proxy.port, network_recovery_interval: 0.1,
    recovery_completed: -> { recovered << true }
  )
  channel = connection.create_channel
  channel.prefetch(10)
  exchange = channel.topic(unique("recovery"), auto_delete: true)
  server_named = temporary_queue(channel).bind(exchange, routing_key: "a.#")
  durable = channel.queue(unique("recovery"), durable: true).bind(exchange, routing_key: "a.*")
  inbox = Queue.new
  seen = {}
  [["server-named", server_named], ["durable", durable]].each do |label, queue|
    queue.subscribe(manual_ack: true) do |delivery, _, body|
      # An ack that the cut swallowed brings the message again, and then it says so.
      inbox << [label, body] unless delivery.redelivered? && seen[[label, body]]
      seen[[label, body]] = true
      channel.ack(delivery.delivery_tag)
    end
  end

  4.times do |round|
    exchange.publish("round #{round}", routing_key: "a.b")
    expect_same(
      [["durable", "round #{round}"], ["server-named", "round #{round}"]], take(inbox, 2).sort, "round #{round}"
    )
    break if round == 3

    proxy.cut
    take(recovered, 1)
  end
  durable.delete
  connection.close
ensure
  proxy&.stop
end

Checks.add("unacked-return-after-cut") do
  proxy = Proxy.new(Broker.options[:host], Broker.options[:port])
  with_channel do |channel|
    queue = channel.queue(unique("cut"), durable: true)
    3.times { |n| queue.publish(n.to_s, persistent: true) }
    lost = connect(host: "127.0.0.1", port: proxy.port, automatically_recover: false)
    held = Queue.new
    lost.create_channel.queue(queue.name, durable: true).subscribe(manual_ack: true) { |_, _, body| held << body }
    expect_same(%w[0 1 2], take(held, 3), "held by the first consumer")
    proxy.cut

    inbox = Queue.new
    queue.subscribe(manual_ack: true) do |delivery, _, body|
      inbox << [body, delivery.redelivered?]
      channel.ack(delivery.delivery_tag)
    end
    expect_same([["0", true], ["1", true], ["2", true]], take(inbox, 3), "after the first consumer's connection died")
    queue.delete
  end
ensure
  proxy&.stop
end
