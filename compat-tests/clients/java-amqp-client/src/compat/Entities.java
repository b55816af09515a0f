package compat;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.BuiltinExchangeType;

/** Declaring queues and exchanges, and what is refused. */
final class Entities {
  static void declare(Broker broker) throws Exception {
    String name = broker.name("declare");
    broker.withChannel(
        channel -> {
          AMQP.Queue.DeclareOk created = channel.queueDeclare(name, true, false, false, null);
          Expect.equal(name, created.getQueue(), "name");
          Expect.equal(0, created.getMessageCount(), "messages");
          for (int i = 0; i < 3; i++) {
            Broker.publish(channel, "", name, "message " + i);
          }
          String server = channel.queueDeclare("", false, true, true, null).getQueue();
          Expect.holds(server.startsWith("amq.gen-"), "server-named queue is called " + server);
          Expect.ready(channel, name, 3);
          Expect.channelClosed(
              406,
              "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '" + name + "' in vhost '"
                  + broker.vhost + "': received 'false' but current is 'true'",
              () -> channel.queueDeclare(name, false, false, false, null));
        });
    broker.withChannel(
        channel -> {
          Expect.equal(3, channel.queueDeclare(name, true, false, false, null).getMessageCount(), "messages");
          Expect.equal(0L, channel.consumerCount(name), "consumers");
          Expect.equal(3, channel.queuePurge(name).getMessageCount(), "purged");
          Expect.equal(0, channel.queueDelete(name, true, true).getMessageCount(), "deleted");
          Expect.equal(0, channel.queueDelete(name).getMessageCount(), "deleted again");
        });
    String exchange = broker.name("exchange");
    broker.withChannel(
        channel -> {
          channel.exchangeDeclare(exchange, BuiltinExchangeType.TOPIC, true);
          channel.exchangeDeclarePassive(exchange);
          Expect.channelClosed(
              406,
              "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '" + exchange + "' in vhost '"
                  + broker.vhost + "': received 'direct' but current is 'topic'",
              () -> channel.exchangeDeclare(exchange, BuiltinExchangeType.DIRECT, true));
        });
    broker.withChannel(channel -> channel.exchangeDelete(exchange));
    broker.withChannel(
        channel ->
            Expect.channelClosed(
                403,
                "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
                () -> channel.exchangeDeclare("amq.mine", BuiltinExchangeType.DIRECT)));
  }

  static void channelError(Broker broker) throws Exception {
    String missing = broker.name("missing");
    String noQueue = "NOT_FOUND - no queue '" + missing + "' in vhost '" + broker.vhost + "'";
    String noExchange = "NOT_FOUND - no exchange '" + missing + "' in vhost '" + broker.vhost + "'";
    broker.withChannel(
        channel -> Expect.channelClosed(404, noQueue, () -> channel.queueDeclarePassive(missing)));
    broker.withChannel(
        channel -> Expect.channelClosed(404, noExchange, () -> channel.exchangeDeclarePassive(missing)));
    broker.withChannel(
        channel -> {
          Broker.publish(channel, missing, "key", "to no exchange");
          Expect.channelClosed(404, noExchange, () -> channel.queueDeclare());
        });
    broker.withChannel(
        channel -> {
          channel.basicAck(7, false);
          Expect.channelClosed(
              406, "PRECONDITION_FAILED - unknown delivery tag 7", () -> channel.queueDeclare());
        });
    Expect.holds(broker.isOpen(), "the connection closed too");
    broker.withChannel(channel -> Broker.queue(channel));
  }

  private Entities() {}
}
