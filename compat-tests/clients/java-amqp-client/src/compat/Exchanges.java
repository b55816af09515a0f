package compat;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.BuiltinExchangeType;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.GetResponse;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One message after the other through each kind of exchange, then what each queue holds. */
final class Exchanges {
  static void types(Broker broker) throws Exception {
    broker.withChannel(channel -> direct(broker, channel));
    broker.withChannel(channel -> fanout(broker, channel));
    broker.withChannel(channel -> topic(broker, channel));
    broker.withChannel(channel -> headers(broker, channel));
    broker.withChannel(channel -> alternate(broker, channel));
    broker.withChannel(channel -> exchangeToExchange(broker, channel));
  }

  private static void direct(Broker broker, Channel channel) throws Exception {
    String exchange = broker.name("direct");
    channel.exchangeDeclare(exchange, BuiltinExchangeType.DIRECT, true);
    String red = bound(channel, exchange, "red", null);
    String both = bound(channel, exchange, "red", null);
    channel.queueBind(both, exchange, "blue");
    for (String key : List.of("red", "blue", "green")) {
      Broker.publish(channel, exchange, key, key);
    }
    Broker.publish(channel, "", red, "default");
    expect(channel, "direct", red, "red", "default");
    expect(channel, "direct", both, "red", "blue");
    channel.queueUnbind(both, exchange, "blue");
    Broker.publish(channel, exchange, "blue", "unbound");
    expect(channel, "direct, unbound", both);
    channel.exchangeDelete(exchange);
  }

  private static void fanout(Broker broker, Channel channel) throws Exception {
    String exchange = broker.name("fanout");
    channel.exchangeDeclare(exchange, BuiltinExchangeType.FANOUT);
    String first = bound(channel, exchange, "", null);
    String second = bound(channel, exchange, "ignored", null);
    Broker.publish(channel, exchange, "anything", "all");
    expect(channel, "fanout", first, "all");
    expect(channel, "fanout", second, "all");
    channel.exchangeDelete(exchange);
  }

  private static void topic(Broker broker, Channel channel) throws Exception {
    String exchange = broker.name("topic");
    channel.exchangeDeclare(exchange, BuiltinExchangeType.TOPIC);
    Map<String, String[]> wanted = new LinkedHashMap<>();
    wanted.put("stock.*", new String[] {"stock.usd"});
    wanted.put("stock.#", new String[] {"stock", "stock.usd", "stock.usd.nyse"});
    wanted.put("*.usd.*", new String[] {"stock.usd.nyse", "bond.usd.nyse"});
    wanted.put("#.nyse", new String[] {"stock.usd.nyse", "bond.usd.nyse"});
    wanted.put("#.usd.#", new String[] {"stock.usd", "stock.usd.nyse", "bond.usd.nyse"});
    wanted.put("*", new String[] {"stock"});
    wanted.put("#", new String[] {"stock", "stock.usd", "stock.usd.nyse", "bond.usd.nyse"});
    wanted.put("stock", new String[] {"stock"});
    Map<String, String> queues = new LinkedHashMap<>();
    for (String pattern : wanted.keySet()) {
      queues.put(pattern, bound(channel, exchange, pattern, null));
    }
    for (String key : List.of("stock", "stock.usd", "stock.usd.nyse", "bond.usd.nyse")) {
      Broker.publish(channel, exchange, key, key);
    }
    for (Map.Entry<String, String[]> want : wanted.entrySet()) {
      String pattern = want.getKey();
      expect(channel, "topic " + pattern, queues.get(pattern), want.getValue());
    }
    channel.exchangeDelete(exchange);
  }

  private static void headers(Broker broker, Channel channel) throws Exception {
    String exchange = broker.name("headers");
    channel.exchangeDeclare(exchange, BuiltinExchangeType.HEADERS);
    String all = bound(channel, exchange, "", Map.of("x-match", "all", "kind", "pdf", "pages", 2));
    String any = bound(channel, exchange, "", Map.of("x-match", "any", "kind", "pdf", "pages", 2));
    Map<String, Map<String, Object>> messages = new LinkedHashMap<>();
    messages.put("both", Map.of("kind", "pdf", "pages", 2, "more", true));
    messages.put("kind", Map.of("kind", "pdf", "pages", 3));
    messages.put("neither", Map.of("kind", "txt"));
    for (Map.Entry<String, Map<String, Object>> message : messages.entrySet()) {
      AMQP.BasicProperties properties =
          new AMQP.BasicProperties.Builder().headers(message.getValue()).build();
      channel.basicPublish(exchange, "", properties, Broker.bytes(message.getKey()));
    }
    expect(channel, "headers all", all, "both");
    expect(channel, "headers any", any, "both", "kind");
    channel.exchangeDelete(exchange);
  }

  private static void alternate(Broker broker, Channel channel) throws Exception {
    String exchange = broker.name("alternated");
    String fallback = broker.name("fallback");
    channel.exchangeDeclare(fallback, BuiltinExchangeType.FANOUT);
    channel.exchangeDeclare(
        exchange, BuiltinExchangeType.DIRECT, false, false, Map.of("alternate-exchange", fallback));
    String known = bound(channel, exchange, "known", null);
    String rest = bound(channel, fallback, "", null);
    Broker.publish(channel, exchange, "known", "known");
    Broker.publish(channel, exchange, "unknown", "unknown");
    expect(channel, "alternate exchange", known, "known");
    expect(channel, "alternate exchange", rest, "unknown");
    channel.exchangeDelete(exchange);
    channel.exchangeDelete(fallback);
  }

  private static void exchangeToExchange(Broker broker, Channel channel) throws Exception {
    String source = broker.name("source");
    String destination = broker.name("destination");
    channel.exchangeDeclare(source, BuiltinExchangeType.TOPIC);
    channel.exchangeDeclare(destination, BuiltinExchangeType.FANOUT, false, false, true, null);
    channel.exchangeBind(destination, source, "orders.#");
    String queue = bound(channel, destination, "", null);
    channel.queueBind(queue, source, "orders.new");
    for (String key : List.of("orders.new", "orders.old", "users.new")) {
      Broker.publish(channel, source, key, key);
    }
    // Reached on two ways, the queue gets one copy.
    expect(channel, "exchange to exchange", queue, "orders.new", "orders.old");
    channel.exchangeUnbind(destination, source, "orders.#");
    Broker.publish(channel, source, "orders.old", "unbound");
    expect(channel, "exchange to exchange, unbound", queue);
    channel.exchangeDelete(source);
    channel.exchangeDelete(destination);
  }

  private static String bound(
      Channel channel, String exchange, String key, Map<String, Object> arguments) throws Exception {
    String queue = Broker.queue(channel);
    channel.queueBind(queue, exchange, key, arguments);
    return queue;
  }

  private static void expect(Channel channel, String what, String queue, String... bodies)
      throws Exception {
    List<String> held = new ArrayList<>();
    GetResponse got = channel.basicGet(queue, true);
    while (got != null) {
      held.add(Broker.text(got.getBody()));
      got = channel.basicGet(queue, true);
    }
    Expect.equal(List.of(bodies), held, what);
  }

  private Exchanges() {}
}
