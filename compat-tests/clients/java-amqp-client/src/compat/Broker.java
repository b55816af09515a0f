package compat;

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.UUID;

/** The broker under test: its address, a connection the checks share, names nobody else uses. */
final class Broker implements AutoCloseable {
  interface OnChannel {
    void run(Channel channel) throws Exception;
  }

  final String host = environment("LEVERET_HOST", "127.0.0.1");
  final int port = Integer.parseInt(environment("LEVERET_PORT", "5672"));
  final String vhost = environment("LEVERET_VHOST", "/");
  final String user = environment("LEVERET_USER", "guest");
  private final String prefix = "compat-java-" + UUID.randomUUID() + "-";
  private final Connection connection;

  Broker() throws Exception {
    connection = factory().newConnection("compat-java");
  }

  ConnectionFactory factory() {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setHost(host);
    factory.setPort(port);
    factory.setUsername(user);
    factory.setPassword(environment("LEVERET_PASS", "guest"));
    factory.setVirtualHost(vhost);
    return factory;
  }

  boolean isOpen() {
    return connection.isOpen();
  }

  boolean advertises(String capability) {
    Object capabilities = connection.getServerProperties().get("capabilities");
    return capabilities instanceof Map<?, ?> map && Boolean.TRUE.equals(map.get(capability));
  }

  /** A name that this run alone uses. */
  String name(String what) {
    return prefix + what;
  }

  /** Runs on a channel of its own; one that the broker closed meanwhile is fine. */
  void withChannel(OnChannel body) throws Exception {
    Channel channel = connection.createChannel();
    try {
      body.run(channel);
    } finally {
      if (channel.isOpen()) {
        channel.close();
      }
    }
  }

  static String queue(Channel channel) throws Exception {
    return channel.queueDeclare().getQueue();
  }

  static void publish(Channel channel, String exchange, String key, String body) throws Exception {
    channel.basicPublish(exchange, key, null, bytes(body));
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  @Override
  public void close() throws Exception {
    connection.close();
  }

  private static String environment(String name, String fallback) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? fallback : value;
  }
}
