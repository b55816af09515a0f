package compat;

import java.util.List;
import java.util.Map;
import org.springframework.amqp.core.Binding;
import org.springframework.amqp.core.BindingBuilder;
import org.springframework.amqp.core.CustomExchange;
import org.springframework.amqp.core.Declarables;
import org.springframework.amqp.core.DirectExchange;
import org.springframework.amqp.core.Exchange;
import org.springframework.amqp.core.ExchangeBuilder;
import org.springframework.amqp.core.FanoutExchange;
import org.springframework.amqp.core.HeadersExchange;
import org.springframework.amqp.core.Queue;
import org.springframework.amqp.core.QueueBuilder;
import org.springframework.amqp.core.TopicExchange;
import org.springframework.amqp.rabbit.connection.CachingConnectionFactory;
import org.springframework.amqp.rabbit.connection.Connection;
import org.springframework.amqp.rabbit.core.RabbitAdmin;
import org.springframework.context.support.GenericApplicationContext;

/** RabbitAdmin: what applications declare when they start. */
final class Declaring {
  static void connect(Broker broker) throws Exception {
    Connection connection = broker.connections.createConnection();
    Map<String, Object> told = connection.getDelegate().getServerProperties();
    Expect.equal("RabbitMQ", told.get("product").toString(), "product");
    Expect.holds(told.get("version").toString().matches("\\d+\\.\\d+\\.\\d+"), "version");
    CachingConnectionFactory stranger = Broker.factory();
    stranger.setPassword("wrong");
    try {
      Expect.refused("ACCESS_REFUSED", stranger::createConnection);
    } finally {
      stranger.destroy();
    }
  }

  static void declare(Broker broker) throws Exception {
    RabbitAdmin admin = broker.admin;
    String durable = broker.queueName("durable");
    broker.queue(new Queue(durable));
    broker.queue(QueueBuilder.nonDurable(broker.queueName("transient")).autoDelete().build());
    Expect.equal(durable, admin.declareQueue(new Queue(durable)), "declared again");
    String named = admin.declareQueue(new Queue("", false, true, true));
    Expect.holds(named.startsWith("amq.gen-"), "named by the server: " + named);
    broker.template.convertAndSend(durable, "one");
    Expect.becomes(1L, () -> broker.ready(durable), "counted");
    Queue other = QueueBuilder.durable(durable).ttl(1000).build();
    Expect.refused(
        "inequivalent arg 'x-message-ttl' for queue '" + durable + "' in vhost '/'",
        () -> admin.declareQueue(other));
    admin.purgeQueue(durable);
    Expect.becomes(0L, () -> broker.ready(durable), "purged");
    Expect.holds(admin.deleteQueue(durable), "deleted");
  }

  /** An application's beans, declared when the connection opens. */
  static void exchangeTypes(Broker broker) throws Exception {
    Queue all = new Queue(broker.queueName("all"), false);
    Queue some = new Queue(broker.queueName("some"), false);
    FanoutExchange fanout = new FanoutExchange(broker.exchangeName("fanout"));
    TopicExchange topic =
        ExchangeBuilder.topicExchange(broker.exchangeName("topic"))
            .alternate(fanout.getName())
            .build();
    DirectExchange direct = new DirectExchange(broker.exchangeName("direct"));
    HeadersExchange headers = new HeadersExchange(broker.exchangeName("headers"));
    Exchange hash =
        new CustomExchange(broker.exchangeName("internal"), "topic", true, false) {
          @Override
          public boolean isInternal() {
            return true;
          }
        };
    try (GenericApplicationContext beans = new GenericApplicationContext()) {
      Declarables application =
          new Declarables(
              all,
              some,
              fanout,
              topic,
              direct,
              headers,
              hash,
              BindingBuilder.bind(all).to(fanout),
              BindingBuilder.bind(some).to(topic).with("orders.*.eu"),
              BindingBuilder.bind(topic).to(direct).with("to-topic"),
              BindingBuilder.bind(some).to(headers).whereAll(Map.of("a", 1, "b", "x")).match(),
              new Binding(
                  hash.getName(), Binding.DestinationType.EXCHANGE, direct.getName(), "in", null));
      RabbitAdmin admin = new RabbitAdmin(broker.connections);
      beans.registerBean("application", Declarables.class, () -> application);
      beans.refresh();
      admin.setApplicationContext(beans);
      admin.initialize();
    }
    var template = broker.template;
    template.convertAndSend(topic.getName(), "orders.7.eu", "topic");
    Expect.equal("topic", broker.receive(some.getName()), "topic");
    template.convertAndSend(topic.getName(), "nobody", "alternate");
    Expect.equal("alternate", broker.receive(all.getName()), "alternate exchange");
    template.convertAndSend(direct.getName(), "to-topic", "lost here, found there");
    Expect.equal("lost here, found there", broker.receive(all.getName()), "exchange to exchange");
    template.convertAndSend(
        headers.getName(),
        "",
        "headers",
        message -> {
          message.getMessageProperties().setHeader("a", 1);
          message.getMessageProperties().setHeader("b", "x");
          return message;
        });
    Expect.equal("headers", broker.receive(some.getName()), "headers");
    template.convertAndSend(some.getName(), "default");
    Expect.equal("default", broker.receive(some.getName()), "default exchange");
    Expect.refused(
        "cannot publish to internal exchange",
        () ->
            template.execute(
                channel -> {
                  channel.basicPublish(hash.getName(), "in", null, new byte[1]);
                  channel.queueDeclarePassive(some.getName());
                  return null;
                }));
  }

  static void channelError(Broker broker) throws Exception {
    String missing = broker.name("missing");
    Expect.equal(null, broker.admin.getQueueInfo(missing), "information about nothing");
    Expect.refused(
        "code=404, reply-text=NOT_FOUND - no queue '" + missing + "' in vhost '/'",
        () -> broker.template.execute(channel -> channel.queueDeclarePassive(missing)));
    String queue = broker.transientQueue();
    broker.template.convertAndSend(queue, "on it goes");
    Expect.equal("on it goes", broker.receive(queue), "afterwards");
  }

  /** What QueueBuilder offers. */
  static void queueBuilder(Broker broker) throws Exception {
    String dead = broker.queueName("dead");
    broker.queue(new Queue(dead));
    Queue bounded =
        QueueBuilder.durable(broker.queueName("bounded"))
            .maxLength(2L)
            .overflow(QueueBuilder.Overflow.dropHead)
            .deadLetterExchange("")
            .deadLetterRoutingKey(dead)
            .build();
    broker.queue(bounded);
    List.of("1", "2", "3").forEach(text -> broker.template.convertAndSend(bounded.getName(), text));
    Expect.equal("1", broker.receive(dead), "dropped from the head");
    Queue quorum =
        QueueBuilder.durable(broker.queueName("quorum")).quorum().deliveryLimit(3).build();
    broker.queue(quorum);
    broker.template.convertAndSend(quorum.getName(), "q");
    Expect.equal("q", broker.receive(quorum.getName()), "of a quorum queue");
    Queue priorities = QueueBuilder.durable(broker.queueName("prio")).maxPriority(9).build();
    broker.queue(priorities);
    for (int priority : new int[] {1, 9, 5}) {
      broker.template.convertAndSend(
          priorities.getName(),
          (Object) ("p" + priority),
          message -> {
            message.getMessageProperties().setPriority(priority);
            return message;
          });
    }
    Expect.becomes(3L, () -> broker.ready(priorities.getName()), "all are there");
    for (String wanted : List.of("p9", "p5", "p1")) {
      Expect.equal(wanted, broker.receive(priorities.getName()), "by priority");
    }
    broker.queue(QueueBuilder.durable(broker.queueName("lazy")).lazy().build());
    broker.queue(QueueBuilder.durable(broker.queueName("sac")).singleActiveConsumer().build());
    broker.queue(QueueBuilder.durable(broker.queueName("stream")).stream().build());
  }

  private Declaring() {}
}
