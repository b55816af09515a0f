package compat;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.springframework.amqp.core.AnonymousQueue;
import org.springframework.amqp.core.Queue;
import org.springframework.amqp.core.QueueInformation;
import org.springframework.amqp.rabbit.connection.CachingConnectionFactory;
import org.springframework.amqp.rabbit.connection.CachingConnectionFactory.ConfirmType;
import org.springframework.amqp.rabbit.core.RabbitAdmin;
import org.springframework.amqp.rabbit.core.RabbitTemplate;

/** The broker under test, with Spring's means: connections, an admin, a template; what is declared is deleted at the end. */
final class Broker implements AutoCloseable {
  final CachingConnectionFactory connections = factory();
  final RabbitAdmin admin = new RabbitAdmin(connections);
  final RabbitTemplate template = new RabbitTemplate(connections);
  private final String prefix = "compat-spring-" + UUID.randomUUID() + "-";
  private final List<String> queues = new ArrayList<>();
  private final List<String> exchanges = new ArrayList<>();

  Broker() {
    template.setReceiveTimeout(Expect.DEADLINE_SECONDS * 1000L);
    template.setReplyTimeout(Expect.DEADLINE_SECONDS * 1000L);
  }

  static CachingConnectionFactory factory() {
    CachingConnectionFactory factory =
        new CachingConnectionFactory(
            environment("LEVERET_HOST", "127.0.0.1"),
            Integer.parseInt(environment("LEVERET_PORT", "5672")));
    factory.setUsername(environment("LEVERET_USER", "guest"));
    factory.setPassword(environment("LEVERET_PASS", "guest"));
    factory.setVirtualHost(environment("LEVERET_VHOST", "/"));
    factory.setConnectionNameStrategy(of -> "compat-spring");
    factory.setPublisherConfirmType(ConfirmType.CORRELATED);
    factory.setPublisherReturns(true);
    return factory;
  }

  /** A name that this run alone uses. */
  String name(String what) {
    return prefix + what;
  }

  /** A name for a queue, which is deleted at the end. */
  String queueName(String what) {
    String name = name(what);
    queues.add(name);
    return name;
  }

  /** A name for an exchange, which is deleted at the end. */
  String exchangeName(String what) {
    String name = name(what);
    exchanges.add(name);
    return name;
  }

  Queue queue(Queue queue) {
    admin.declareQueue(queue);
    return queue;
  }

  /** A queue that ends with its last consumer, or its connection. */
  String anonymousQueue() {
    return queue(new AnonymousQueue()).getName();
  }

  String transientQueue() {
    return queue(new Queue(queueName(UUID.randomUUID().toString()), false)).getName();
  }

  long ready(String queue) {
    QueueInformation found = admin.getQueueInfo(queue);
    return found == null ? -1 : found.getMessageCount();
  }

  int consumers(String queue) {
    QueueInformation found = admin.getQueueInfo(queue);
    return found == null ? -1 : found.getConsumerCount();
  }

  String receive(String queue) {
    return (String) template.receiveAndConvert(queue);
  }

  @Override
  public void close() {
    queues.forEach(admin::deleteQueue);
    exchanges.forEach(admin::deleteExchange);
    connections.destroy();
  }

  private static String environment(String name, String fallback) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? fallback : value;
  }
}
