# frozen_string_literal: true

# Checks of the exchange types and of the ways exchanges lead to each other.

# Publishes a message for each key (the key is the body) and returns what arrived in each queue.
def arrivals(exchange, keys, *queues)
  keys.each { |key| exchange.publish(key, routing_key: key) }
  queues.map { |queue| drain(queue) }
end

Checks.add("exchange-types") do
  with_channel do |channel|
    one = temporary_queue(channel)
    two = temporary_queue(channel)

    direct = channel.direct(unique("direct"), auto_delete: true)
    one.bind(direct, routing_key: "red")
    two.bind(direct, routing_key: "red").bind(direct, routing_key: "blue")
    expect_same([%w[red], %w[blue red]], arrivals(direct, %w[red blue green re], one, two), "direct")

    fanout = channel.fanout(unique("fanout"), auto_delete: true)
    one.bind(fanout)
    two.bind(fanout, routing_key: "ignored").bind(fanout, routing_key: "ignored as well")
    expect_same([["", "any"], ["", "any"]], arrivals(fanout, ["any", ""], one, two), "fanout")

    topic = channel.topic(unique("topic"), auto_delete: true)
    one.bind(topic, routing_key: "*.orange.*")
    two.bind(topic, routing_key: "*.*.rabbit").bind(topic, routing_key: "lazy.#")
    keys = %w[quick.orange.rabbit lazy.orange.elephant quick.orange.fox lazy.pink.rabbit quick.brown.fox
              lazy lazy.a.b.c.d orange quick.orange.male.rabbit] << ""
    expect_same(
      [
        %w[lazy.orange.elephant quick.orange.fox quick.orange.rabbit],
        %w[lazy lazy.a.b.c.d lazy.orange.elephant lazy.pink.rabbit quick.orange.rabbit],
      ],
      arrivals(topic, keys, one, two), "topic"
    )

    headers = channel.headers(unique("headers"), auto_delete: true)
    one.bind(headers, arguments: { "x-match" => "all", "format" => "pdf", "pages" => 3 })
    two.bind(headers, arguments: { "x-match" => "any", "format" => "pdf", "pages" => 3 })
    {
      "both" => { "format" => "pdf", "pages" => 3, "more" => "x" }, "first" => { "format" => "pdf" },
      "wrong" => { "format" => "zip", "pages" => 4 }, "second" => { "format" => "zip", "pages" => 3 }, "none" => {},
    }.each { |body, table| headers.publish(body, headers: table) }
    expect_same(%w[both], drain(one), "headers, all")
    expect_same(%w[both first second], drain(two), "headers, any")

    channel.default_exchange.publish("by name", routing_key: one.name)
    expect_same([["by name"], []], [drain(one), drain(two)], "default exchange")
  end
end

Checks.add("alternate-exchange") do
  with_channel do |channel|
    routed = temporary_queue(channel)
    rest = temporary_queue(channel)
    alternate = channel.fanout(unique("alternate"), auto_delete: true)
    main = channel.direct(
      unique("main"), auto_delete: true, arguments: { "alternate-exchange" => alternate.name }
    )
    routed.bind(main, routing_key: "known")
    rest.bind(alternate)
    expect_same([%w[known], %w[unknown]], arrivals(main, %w[known unknown], routed, rest), "alternate exchange")
  end
end

Checks.add("exchange-to-exchange") do
  with_channel do |channel|
    queue = temporary_queue(channel)
    source = channel.topic(unique("source"), auto_delete: true)
    destination = channel.fanout(unique("destination"), auto_delete: true)
    # Two ways to the same queue are one copy.
    queue.bind(destination).bind(source, routing_key: "stock.nyse")
    destination.bind(source, routing_key: "stock.#")
    expect_same(
      [%w[stock.nyse stock.usd]], arrivals(source, %w[stock.usd bond.usd stock.nyse], queue), "bound"
    )
    destination.unbind(source, routing_key: "stock.#")
    expect_same([[]], arrivals(source, %w[stock.usd], queue), "unbound")
  end
end

Checks.add("internal-exchange") do
  with_channel do |channel|
    internal = channel.fanout(unique("internal"), auto_delete: true, internal: true)
    temporary_queue(channel).bind(internal)
    internal.publish("refused")
    # Publishing is not answered: the error comes with the next call.
    refused = expect_raises(Bunny::AccessRefused) { temporary_queue(channel) }
    expect_same(
      "ACCESS_REFUSED - cannot publish to internal exchange '#{internal.name}' in vhost " \
      "'#{Broker.options[:vhost]}'",
      refused.message, "text"
    )
  end
end
