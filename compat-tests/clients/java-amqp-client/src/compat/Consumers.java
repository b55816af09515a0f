package compat;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Delivery;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** How a queue shares its messages among consumers, and what it tells them. */
final class Consumers {
  private record Received(String consumer, Delivery delivery) {}

  static void globalQos(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          BlockingQueue<Received> received = new LinkedBlockingQueue<>();
          channel.basicQos(4, true);
          for (String tag : new String[] {"one", "two"}) {
            channel.basicConsume(queue, false, tag, (t, d) -> received.add(new Received(t, d)), t -> {});
          }
          for (int i = 0; i < 10; i++) {
            Broker.publish(channel, "", queue, "message " + i);
          }
          Received last = null;
          for (int i = 0; i < 4; i++) {
            last = Expect.next(received, "delivery " + i);
          }
          Expect.ready(channel, queue, 6);
          Expect.equal(0, received.size(), "deliveries beyond the shared prefetch");
          channel.basicAck(last.delivery().getEnvelope().getDeliveryTag(), true);
          for (int i = 4; i < 8; i++) {
            Expect.next(received, "delivery " + i);
          }
          Expect.ready(channel, queue, 2);
        });
  }

  static void priorities(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          BlockingQueue<Received> received = new LinkedBlockingQueue<>();
          channel.basicQos(2);
          for (int priority : new int[] {-1, 5}) {
            Map<String, Object> arguments = Map.of("x-priority", priority);
            channel.basicConsume(
                queue, false, "priority " + priority, false, false, arguments,
                (tag, delivery) -> received.add(new Received(tag, delivery)), tag -> {});
          }
          for (int i = 0; i < 3; i++) {
            Broker.publish(channel, "", queue, "message " + i);
          }
          // Two fill the prefetch of the preferred one; only then the other is asked.
          for (String tag : new String[] {"priority 5", "priority 5", "priority -1"}) {
            Expect.equal(tag, Expect.next(received, tag).consumer(), "consumer");
          }
        });
  }

  static void exclusive(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          channel.basicConsume(queue, true, "", false, true, null, (tag, delivery) -> {}, tag -> {});
          broker.withChannel(
              other ->
                  Expect.channelClosed(
                      403,
                      "ACCESS_REFUSED - queue '" + queue + "' in vhost '" + broker.vhost
                          + "' in exclusive use",
                      () -> other.basicConsume(queue, (tag, delivery) -> {}, tag -> {})));
        });
  }

  static void cancelNotify(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();
          channel.basicConsume(queue, true, "worker", (tag, delivery) -> {}, cancelled::add);
          AMQP.Queue.DeleteOk deleted = channel.queueDelete(queue);
          Expect.equal(0, deleted.getMessageCount(), "deleted");
          Expect.equal("worker", Expect.next(cancelled, "the cancel"), "consumer tag");
          Broker.queue(channel);
        });
  }

  private Consumers() {}
}
