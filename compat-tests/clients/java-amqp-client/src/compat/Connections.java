package compat;

import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Opening, idling, closing. */
final class Connections {
  static void connect(Broker broker) throws Exception {
    try (Connection connection = broker.factory().newConnection("compat-java-connect")) {
      Map<String, Object> properties = connection.getServerProperties();
      Expect.equal("RabbitMQ", properties.get("product").toString(), "product");
      String version = properties.get("version").toString();
      Expect.holds(version.matches("\\d+\\.\\d+\\.\\d+.*"), "version " + version);
      Expect.holds(properties.get("platform") != null, "platform");
      for (String capability : new String[] {
        "publisher_confirms", "exchange_exchange_bindings", "basic.nack",
        "consumer_cancel_notify", "connection.blocked", "consumer_priorities",
        "authentication_failure_close", "per_consumer_qos",
      }) {
        Expect.holds(broker.advertises(capability), "capability " + capability);
      }
      Expect.equal(131072, connection.getFrameMax(), "frame_max");
      Expect.equal(2047, connection.getChannelMax(), "channel_max");
      Expect.equal(60, connection.getHeartbeat(), "heartbeat");
    }
  }

  static void loginRefused(Broker broker) throws Exception {
    ConnectionFactory factory = broker.factory();
    factory.setPassword("not the password");
    try (Connection connection = factory.newConnection()) {
      throw new AssertionError("a wrong password was accepted");
    } catch (AuthenticationFailureException refused) {
      Expect.equal(
          "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
              + "For details see the broker logfile.",
          refused.getMessage(),
          "text");
    }
  }

  static void heartbeatIdle(Broker broker) throws Exception {
    ConnectionFactory factory = broker.factory();
    factory.setRequestedHeartbeat(1);
    factory.setAutomaticRecoveryEnabled(false);
    try (Connection connection = factory.newConnection()) {
      Expect.equal(1, connection.getHeartbeat(), "heartbeat");
      CountDownLatch closed = new CountDownLatch(1);
      connection.addShutdownListener(cause -> closed.countDown());
      boolean ended = closed.await(4, TimeUnit.SECONDS);
      Expect.holds(!ended, "closed while idle: " + connection.getCloseReason());
      Channel channel = connection.createChannel();
      String queue = Broker.queue(channel);
      Broker.publish(channel, "", queue, "still here");
      GetResponse got = channel.basicGet(queue, true);
      Expect.equal("still here", Broker.text(got.getBody()), "body");
    }
  }

  static void closeCleanly(Broker broker) throws Exception {
    Connection connection = broker.factory().newConnection();
    Channel channel = connection.createChannel();
    String queue = Broker.queue(channel);
    channel.close();
    Expect.holds(!channel.isOpen() && connection.isOpen(), "only the channel closes");
    connection.close(Expect.DEADLINE_SECONDS * 1000);
    ShutdownSignalException reason = connection.getCloseReason();
    Expect.holds(reason.isInitiatedByApplication(), "close reason: " + reason);
    // Exclusive queues go before close-ok is sent: nobody may find it now.
    broker.withChannel(
        other ->
            Expect.channelClosed(
                404,
                "NOT_FOUND - no queue '" + queue + "' in vhost '" + broker.vhost + "'",
                () -> other.queueDeclarePassive(queue)));
  }

  private Connections() {}
}
