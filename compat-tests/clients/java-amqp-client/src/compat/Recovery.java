package compat;

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The library's automatic recovery: a cut connection comes back with its topology. */
final class Recovery {
  static void recovers(Broker broker) throws Exception {
    try (Proxy proxy = new Proxy(broker.host, broker.port)) {
      ConnectionFactory factory = broker.factory();
      factory.setHost("127.0.0.1");
      factory.setPort(proxy.port());
      factory.setAutomaticRecoveryEnabled(true);
      factory.setTopologyRecoveryEnabled(true);
      factory.setNetworkRecoveryInterval(100);
      try (Connection connection = factory.newConnection("compat-java-recovery")) {
        CountDownLatch recovered = new CountDownLatch(1);
        ((Recoverable) connection)
            .addRecoveryListener(
                new RecoveryListener() {
                  @Override
                  public void handleRecovery(Recoverable recoverable) {
                    recovered.countDown();
                  }

                  @Override
                  public void handleRecoveryStarted(Recoverable recoverable) {}
                });
        Channel channel = connection.createChannel();
        String exchange = broker.name("recovery");
        channel.exchangeDeclare(exchange, "direct", false, true, null);
        String queue = Broker.queue(channel);
        channel.queueBind(queue, exchange, "key");
        BlockingQueue<String> bodies = new LinkedBlockingQueue<>();
        channel.basicConsume(
            queue, true, (tag, delivery) -> bodies.add(Broker.text(delivery.getBody())), tag -> {});
        Broker.publish(channel, exchange, "key", "before");
        Expect.equal("before", Expect.next(bodies, "before the cut"), "body");
        proxy.cut();
        boolean came = recovered.await(Expect.DEADLINE_SECONDS, TimeUnit.SECONDS);
        Expect.holds(came, "the connection did not recover");
        // The exclusive queue went with the old connection: a new one, bound again, is consumed.
        Broker.publish(channel, exchange, "key", "after");
        Expect.equal("after", Expect.next(bodies, "after the cut"), "body");
      }
    }
  }

  private Recovery() {}
}
