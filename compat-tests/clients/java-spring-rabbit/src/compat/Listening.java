package compat;

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.springframework.amqp.AmqpRejectAndDontRequeueException;
import org.springframework.amqp.ImmediateRequeueAmqpException;
import org.springframework.amqp.core.AcknowledgeMode;
import org.springframework.amqp.core.BatchMessageListener;
import org.springframework.amqp.core.Message;
import org.springframework.amqp.core.MessageListener;
import org.springframework.amqp.core.Queue;
import org.springframework.amqp.core.QueueBuilder;
import org.springframework.amqp.rabbit.annotation.EnableRabbit;
import org.springframework.amqp.rabbit.annotation.RabbitListener;
import org.springframework.amqp.rabbit.config.RetryInterceptorBuilder;
import org.springframework.amqp.rabbit.config.SimpleRabbitListenerContainerFactory;
import org.springframework.amqp.rabbit.connection.CachingConnectionFactory;
import org.springframework.amqp.rabbit.connection.Connection;
import org.springframework.amqp.rabbit.connection.ConnectionListener;
import org.springframework.amqp.rabbit.listener.AbstractMessageListenerContainer;
import org.springframework.amqp.rabbit.listener.DirectMessageListenerContainer;
import org.springframework.amqp.rabbit.listener.SimpleMessageListenerContainer;
import org.springframework.amqp.rabbit.listener.api.ChannelAwareMessageListener;
import org.springframework.amqp.rabbit.retry.RepublishMessageRecoverer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;

/** Listener containers of both kinds, and annotated listeners. */
final class Listening {
  private static void started(AbstractMessageListenerContainer container, Object... queues) {
    container.setQueueNames(List.of(queues).toArray(String[]::new));
    container.afterPropertiesSet();
    container.start();
  }

  private static String text(Message message) {
    return new String(message.getBody());
  }

  /** What {@link Sending#confirms} has left. */
  static void prefetchAndAck(Broker broker) throws Exception {
    String queue = broker.name("many");
    BlockingQueue<String> came = new LinkedBlockingQueue<>();
    DirectMessageListenerContainer container =
        new DirectMessageListenerContainer(broker.connections);
    container.setPrefetchCount(100);
    container.setAcknowledgeMode(AcknowledgeMode.MANUAL);
    container.setMessageListener(
        (ChannelAwareMessageListener)
            (Message message, Channel channel) -> {
              came.add(text(message));
              channel.basicAck(message.getMessageProperties().getDeliveryTag(), false);
            });
    started(container, queue);
    try {
      // Not in order: a template takes another channel while one waits for its confirm.
      Set<String> missing = new HashSet<>();
      for (int i = 0; i < Sending.MANY; i++) {
        missing.add("message " + i);
      }
      for (int i = 0; i < Sending.MANY; i++) {
        String next = Expect.next(came, i + " so far");
        Expect.holds(missing.remove(next), "twice, or never sent: " + next);
      }
    } finally {
      container.destroy();
    }
    Expect.becomes(0, () -> broker.consumers(queue), "cancelled");
    Expect.becomes(0L, () -> broker.ready(queue), "all acknowledged");
  }

  static void requeueRedelivered(Broker broker) throws Exception {
    String queue = broker.anonymousQueue();
    BlockingQueue<String> came = new LinkedBlockingQueue<>();
    SimpleMessageListenerContainer container =
        new SimpleMessageListenerContainer(broker.connections);
    container.setPrefetchCount(1);
    container.setReceiveTimeout(50);
    container.setMessageListener(
        (MessageListener)
            message -> {
              boolean again = message.getMessageProperties().isRedelivered();
              came.add(text(message) + (again ? " again" : ""));
              if (!again && text(message).equals("a")) {
                throw new ImmediateRequeueAmqpException("not yet");
              }
            });
    broker.template.convertAndSend(queue, "a");
    broker.template.convertAndSend(queue, "b");
    Expect.becomes(2L, () -> broker.ready(queue), "both");
    started(container, queue);
    try {
      for (String wanted : List.of("a", "a again", "b")) {
        Expect.equal(wanted, Expect.next(came, wanted), "order");
      }
    } finally {
      container.destroy();
    }
  }

  static void rejectedToDeadLetters(Broker broker) throws Exception {
    String dead = broker.queueName("rejected-dead");
    broker.queue(new Queue(dead));
    Queue queue =
        QueueBuilder.durable(broker.queueName("rejected"))
            .deadLetterExchange("")
            .deadLetterRoutingKey(dead)
            .build();
    broker.queue(queue);
    SimpleMessageListenerContainer container =
        new SimpleMessageListenerContainer(broker.connections);
    container.setReceiveTimeout(50);
    container.setMessageListener(
        (MessageListener)
            message -> {
              throw new AmqpRejectAndDontRequeueException("never");
            });
    started(container, queue.getName());
    try {
      broker.template.convertAndSend(queue.getName(), "bad");
      Message message = broker.template.receive(dead);
      Expect.equal("bad", text(message), "dead letter");
      Map<String, ?> death = message.getMessageProperties().getXDeathHeader().get(0);
      Expect.equal("rejected", death.get("reason"), "reason");
      Expect.equal(queue.getName(), death.get("queue"), "queue");
      Expect.equal(1L, death.get("count"), "count");
    } finally {
      container.destroy();
    }
  }

  /** Many consumers, messages taken together, one acknowledgement for each batch. */
  static void batches(Broker broker) throws Exception {
    String queue = broker.queueName("batches");
    broker.queue(new Queue(queue));
    int many = 2_000;
    AtomicInteger came = new AtomicInteger();
    SimpleMessageListenerContainer container =
        new SimpleMessageListenerContainer(broker.connections);
    container.setConcurrentConsumers(4);
    container.setPrefetchCount(250);
    container.setBatchSize(50);
    container.setConsumerBatchEnabled(true);
    container.setReceiveTimeout(50);
    container.setMessageListener(
        new BatchMessageListener() {
          @Override
          public void onMessageBatch(List<Message> messages) {
            came.addAndGet(messages.size());
          }
        });
    started(container, queue);
    try {
      Expect.becomes(4, () -> broker.consumers(queue), "consumers");
      for (int i = 0; i < many; i++) {
        broker.template.convertAndSend(queue, "b" + i);
      }
      Expect.becomes(many, came::get, "all in batches");
    } finally {
      container.destroy();
    }
    Expect.equal(0L, broker.ready(queue), "all acknowledged");
  }

  /** A queue that is deleted under its consumer, and declared again: the container finds back. */
  static void cancelledAndBack(Broker broker) throws Exception {
    String queue = broker.queueName("deleted");
    broker.queue(new Queue(queue));
    BlockingQueue<String> came = new LinkedBlockingQueue<>();
    SimpleMessageListenerContainer container =
        new SimpleMessageListenerContainer(broker.connections);
    container.setMissingQueuesFatal(false);
    container.setRecoveryInterval(100);
    container.setRetryDeclarationInterval(100);
    container.setFailedDeclarationRetryInterval(100);
    container.setReceiveTimeout(50);
    container.setMessageListener((MessageListener) message -> came.add(text(message)));
    started(container, queue);
    try {
      Expect.becomes(1, () -> broker.consumers(queue), "it consumes");
      broker.admin.deleteQueue(queue);
      broker.queue(new Queue(queue));
      Expect.becomes(1, () -> broker.consumers(queue), "it consumes again");
      broker.template.convertAndSend(queue, "found");
      Expect.equal("found", Expect.next(came, "found"), "after its queue came back");
    } finally {
      container.destroy();
    }
  }

  /** Annotated listeners: one that answers, one that fails, is tried again and ends in a queue for errors. */
  @EnableRabbit
  public static class Application {
    static String requests;
    static String failing;
    static String errors;
    static CachingConnectionFactory connections;
    static Broker broker;
    static final AtomicInteger TRIES = new AtomicInteger();

    @Bean
    SimpleRabbitListenerContainerFactory rabbitListenerContainerFactory() {
      SimpleRabbitListenerContainerFactory factory = new SimpleRabbitListenerContainerFactory();
      factory.setConnectionFactory(connections);
      factory.setReceiveTimeout(50L);
      factory.setAdviceChain(
          RetryInterceptorBuilder.stateless()
              .maxAttempts(3)
              .backOffOptions(1, 1.0, 1)
              .recoverer(new RepublishMessageRecoverer(broker.template, "", errors))
              .build());
      return factory;
    }

    @RabbitListener(queues = "#{T(compat.Listening$Application).requests()}", concurrency = "1-3")
    public String answer(String request) {
      return request.toUpperCase();
    }

    @RabbitListener(queues = "#{T(compat.Listening$Application).failing()}")
    public void fail(String message) {
      TRIES.incrementAndGet();
      throw new IllegalStateException("cannot " + message);
    }

    public static String requests() {
      return requests;
    }

    public static String failing() {
      return failing;
    }
  }

  static void annotated(Broker broker) throws Exception {
    Application.requests = broker.queueName("annotated");
    Application.failing = broker.queueName("failing");
    Application.errors = broker.queueName("errors");
    Application.connections = broker.connections;
    Application.broker = broker;
    for (String queue : List.of(Application.requests, Application.failing, Application.errors)) {
      broker.queue(new Queue(queue));
    }
    try (AnnotationConfigApplicationContext context =
        new AnnotationConfigApplicationContext(Application.class)) {
      Expect.equal(
          "HELLO", broker.template.convertSendAndReceive(Application.requests, "hello"), "answer");
      broker.template.convertAndSend(Application.failing, "this");
      Message error = broker.template.receive(Application.errors);
      Expect.equal("this", text(error), "in the queue for errors");
      Expect.equal(3, Application.TRIES.get(), "tries");
      Object why = error.getMessageProperties().getHeader("x-exception-message");
      Expect.holds(("" + why).contains("cannot this"), "why: " + why);
    }
  }

  static void heartbeats(Broker broker) throws Exception {
    CachingConnectionFactory connections = Broker.factory();
    connections.setRequestedHeartBeat(1);
    try {
      var connection = connections.createConnection();
      Expect.equal(1, connection.getDelegate().getHeartbeat(), "agreed");
      var channel = connection.createChannel(false);
      // Nothing is sent but heartbeats for three intervals.
      Thread.sleep(3_500);
      Expect.holds(connection.isOpen(), "open after three intervals");
      Expect.equal(0, channel.queueDeclare().getMessageCount(), "still answers");
    } finally {
      connections.destroy();
    }
  }

  static void closeCleanly(Broker broker) throws Exception {
    CachingConnectionFactory connections = Broker.factory();
    BlockingQueue<String> ends = new LinkedBlockingQueue<>();
    connections.addConnectionListener(
        new ConnectionListener() {
          @Override
          public void onCreate(Connection connection) {}

          @Override
          public void onShutDown(ShutdownSignalException signal) {
            ends.add(signal.isInitiatedByApplication() ? "by us" : signal.getMessage());
          }
        });
    connections.createConnection().createChannel(false).close();
    connections.destroy();
    Expect.equal("by us", Expect.next(ends, "an end"), "who closed");
  }

  private Listening() {}
}
