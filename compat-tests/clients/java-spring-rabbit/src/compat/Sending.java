package compat;

import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.springframework.amqp.core.Message;
import org.springframework.amqp.core.MessageBuilder;
import org.springframework.amqp.core.MessageDeliveryMode;
import org.springframework.amqp.core.MessageListener;
import org.springframework.amqp.core.MessageProperties;
import org.springframework.amqp.core.Queue;
import org.springframework.amqp.rabbit.connection.CachingConnectionFactory.ConfirmType;
import org.springframework.amqp.rabbit.connection.CorrelationData;
import org.springframework.amqp.rabbit.core.RabbitTemplate;
import org.springframework.amqp.rabbit.listener.SimpleMessageListenerContainer;
import org.springframework.amqp.rabbit.listener.adapter.MessageListenerAdapter;
import org.springframework.amqp.rabbit.transaction.RabbitTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** RabbitTemplate: confirms, returns, calls, transactions, single receives. */
final class Sending {
  static final int MANY = 10_000;
  private static final int CALLS = 100;

  /** Persistent, as Spring's messages are; what came is taken by {@link Listening#prefetchAndAck}. */
  static void confirms(Broker broker) throws Exception {
    String queue = broker.queueName("many");
    broker.queue(new Queue(queue));
    List<CorrelationData> sent = new ArrayList<>();
    for (int i = 0; i < MANY; i++) {
      CorrelationData correlation = new CorrelationData("" + i);
      sent.add(correlation);
      broker.template.convertAndSend("", queue, "message " + i, correlation);
    }
    for (CorrelationData each : sent) {
      var confirm = each.getFuture().get(Expect.DEADLINE_SECONDS, TimeUnit.SECONDS);
      Expect.holds(confirm.isAck(), each.getId() + " was not confirmed");
    }
    Expect.becomes((long) MANY, () -> broker.ready(queue), "confirmed and there");
  }

  static void mandatoryReturn(Broker broker) throws Exception {
    RabbitTemplate template = new RabbitTemplate(broker.connections);
    template.setMandatory(true);
    CorrelationData correlation = new CorrelationData("nowhere");
    String nowhere = broker.name("nowhere");
    template.convertAndSend(
        "",
        nowhere,
        "back",
        message -> {
          message.getMessageProperties().setAppId("spring");
          return message;
        },
        correlation);
    var confirm = correlation.getFuture().get(Expect.DEADLINE_SECONDS, TimeUnit.SECONDS);
    Expect.holds(confirm.isAck(), "a returned message is confirmed");
    var returned = correlation.getReturned();
    Expect.holds(returned != null, "it came back before its confirm");
    Expect.equal(312, returned.getReplyCode(), "code");
    Expect.equal("NO_ROUTE", returned.getReplyText(), "text");
    Expect.equal(nowhere, returned.getRoutingKey(), "routing key");
    Expect.equal("back", new String(returned.getMessage().getBody()), "body");
    Expect.equal("spring", returned.getMessage().getMessageProperties().getAppId(), "app id");
  }

  private static void calls(Broker broker, RabbitTemplate template, String requests) {
    for (int i = 0; i < CALLS; i++) {
      Object answer = template.convertSendAndReceive(requests, "" + i);
      Expect.equal("<" + i + ">", answer, "answer " + i);
    }
  }

  /** Answers what comes. */
  public static final class Server {
    public String handleMessage(String request) {
      return "<" + request + ">";
    }
  }

  private static SimpleMessageListenerContainer container(
      Broker broker, String queue, MessageListener what) {
    SimpleMessageListenerContainer container =
        new SimpleMessageListenerContainer(broker.connections);
    container.setQueueNames(queue);
    container.setMessageListener(what);
    container.setReceiveTimeout(50);
    container.afterPropertiesSet();
    container.start();
    return container;
  }

  /** Spring's default: direct reply-to. */
  static void directReplyTo(Broker broker) throws Exception {
    String requests = broker.anonymousQueue();
    var serving = container(broker, requests, new MessageListenerAdapter(new Server()));
    try {
      calls(broker, broker.template, requests);
    } finally {
      serving.destroy();
    }
  }

  static void replyQueue(Broker broker) throws Exception {
    String requests = broker.anonymousQueue();
    String replies = broker.anonymousQueue();
    RabbitTemplate template = new RabbitTemplate(broker.connections);
    template.setReplyTimeout(Expect.DEADLINE_SECONDS * 1000L);
    template.setReplyAddress(replies);
    var serving = container(broker, requests, new MessageListenerAdapter(new Server()));
    var hearing = container(broker, replies, template);
    try {
      calls(broker, template, requests);
    } finally {
      hearing.destroy();
      serving.destroy();
    }
  }

  static void get(Broker broker) throws Exception {
    String queue = broker.transientQueue();
    RabbitTemplate getting = new RabbitTemplate(broker.connections);
    Expect.equal(null, getting.receive(queue), "nothing");
    broker.template.convertAndSend(queue, "a");
    broker.template.convertAndSend(queue, "b");
    Expect.becomes(2L, () -> broker.ready(queue), "both");
    Message first = getting.receive(queue);
    Expect.equal(1, first.getMessageProperties().getMessageCount(), "left");
    Expect.equal("a", new String(first.getBody()), "in order");
    // With a consumer for a single message, as a timeout wants it.
    Expect.equal("b", broker.receive(queue), "the other");
    Expect.becomes(0, () -> broker.consumers(queue), "that consumer is gone");
  }

  static void transactions(Broker broker) throws Exception {
    var connections = Broker.factory();
    connections.setPublisherConfirmType(ConfirmType.NONE);
    try {
      RabbitTemplate template = new RabbitTemplate(connections);
      template.setChannelTransacted(true);
      TransactionTemplate transaction =
          new TransactionTemplate(new RabbitTransactionManager(connections));
      String from = broker.queueName("tx-from");
      String to = broker.queueName("tx-to");
      broker.queue(new Queue(from));
      broker.queue(new Queue(to));
      broker.template.convertAndSend(from, "moved");
      Expect.becomes(1L, () -> broker.ready(from), "to be moved");
      transaction.executeWithoutResult(
          status -> {
            template.convertAndSend(to, template.receiveAndConvert(from));
            status.setRollbackOnly();
          });
      Expect.becomes(1L, () -> broker.ready(from), "rolled back");
      Expect.equal(0L, broker.ready(to), "rolled back there");
      transaction.executeWithoutResult(
          status -> template.convertAndSend(to, template.receiveAndConvert(from)));
      Expect.becomes(1L, () -> broker.ready(to), "committed");
      Expect.equal(0L, broker.ready(from), "committed there");
      Expect.equal("moved", broker.receive(to), "what was moved");
    } finally {
      connections.destroy();
    }
  }

  static void properties(Broker broker) throws Exception {
    String queue = broker.transientQueue();
    Date now = new Date(1_700_000_000_000L);
    Message sent =
        MessageBuilder.withBody(new byte[] {0, 1, 2})
            .setContentType("application/x-compat")
            .setContentEncoding("none")
            .setDeliveryMode(MessageDeliveryMode.NON_PERSISTENT)
            .setPriority(7)
            .setCorrelationId("c-1")
            .setReplyTo("reply")
            .setExpiration("60000")
            .setMessageId("m-1")
            .setTimestamp(now)
            .setType("t")
            .setAppId("app")
            .setHeader("long", 5L)
            .setHeader("text", "x")
            .setHeader("list", List.of(1, "two"))
            .setHeader("map", Map.of("k", true))
            .build();
    broker.template.send(queue, sent);
    MessageProperties got = broker.template.receive(queue).getMessageProperties();
    MessageProperties want = sent.getMessageProperties();
    Expect.equal(want.getContentType(), got.getContentType(), "content type");
    Expect.equal(want.getContentEncoding(), got.getContentEncoding(), "content encoding");
    Expect.equal(MessageDeliveryMode.NON_PERSISTENT, got.getReceivedDeliveryMode(), "mode");
    Expect.equal(7, got.getPriority(), "priority");
    Expect.equal("c-1", got.getCorrelationId(), "correlation id");
    Expect.equal("reply", got.getReplyTo(), "reply to");
    Expect.equal("60000", got.getExpiration(), "expiration");
    Expect.equal("m-1", got.getMessageId(), "message id");
    Expect.equal(now, got.getTimestamp(), "timestamp");
    Expect.equal("t", got.getType(), "type");
    Expect.equal("app", got.getAppId(), "app id");
    Expect.equal(want.getHeaders(), got.getHeaders(), "headers");
  }

  private Sending() {}
}
