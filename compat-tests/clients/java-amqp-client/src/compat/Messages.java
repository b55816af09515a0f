package compat;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.ConfirmCallback;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.Return;
import com.rabbitmq.client.impl.LongStringHelper;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Publishing, confirms, consuming, settling. */
final class Messages {
  private static final int MANY = 10_000;

  private static String body(int i) {
    return "message " + i + " of " + MANY;
  }

  /** The asynchronous confirms of RabbitMQ's own tutorial: outstanding ones in a sorted map. */
  static void confirmPublish(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = broker.name("many");
          channel.queueDeclare(queue, true, false, false, null);
          ConcurrentNavigableMap<Long, String> outstanding = new ConcurrentSkipListMap<>();
          AtomicInteger unknown = new AtomicInteger();
          AtomicInteger nacked = new AtomicInteger();
          CountDownLatch allConfirmed = new CountDownLatch(MANY);
          ConfirmCallback settled =
              (sequence, multiple) -> {
                if (multiple) {
                  ConcurrentNavigableMap<Long, String> upTo = outstanding.headMap(sequence, true);
                  int count = upTo.size();
                  upTo.clear();
                  for (int i = 0; i < count; i++) {
                    allConfirmed.countDown();
                  }
                } else if (outstanding.remove(sequence) != null) {
                  allConfirmed.countDown();
                } else {
                  unknown.incrementAndGet();
                }
              };
          channel.addConfirmListener(settled, (sequence, multiple) -> nacked.incrementAndGet());
          channel.confirmSelect();
          for (int i = 0; i < MANY; i++) {
            outstanding.put(channel.getNextPublishSeqNo(), body(i));
            AMQP.BasicProperties properties =
                MessageProperties.PERSISTENT_TEXT_PLAIN.builder().messageId("" + i).build();
            channel.basicPublish("", queue, properties, Broker.bytes(body(i)));
          }
          boolean done = allConfirmed.await(2 * Expect.DEADLINE_SECONDS, TimeUnit.SECONDS);
          Expect.holds(done, outstanding.size() + " unconfirmed");
          Expect.equal(0, nacked.get(), "nacks");
          Expect.equal(0, unknown.get(), "confirms of what was confirmed before");
          Expect.equal((long) MANY, channel.messageCount(queue), "messages in the queue");
          Broker.publish(channel, "", queue, "one more");
          channel.waitForConfirmsOrDie(Expect.DEADLINE_SECONDS * 1000L);
        });
  }

  static void consumePrefetchAck(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = broker.name("many");
          BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
          channel.basicQos(250);
          String tag = channel.basicConsume(queue, false, (t, d) -> deliveries.add(d), t -> {});
          for (int i = 0; i < MANY; i++) {
            Delivery delivery = Expect.next(deliveries, "message " + i);
            Expect.equal(body(i), Broker.text(delivery.getBody()), "body");
            Expect.equal("" + i, delivery.getProperties().getMessageId(), "message id");
            Expect.equal(2, delivery.getProperties().getDeliveryMode(), "delivery mode");
            Expect.equal("text/plain", delivery.getProperties().getContentType(), "content type");
            Expect.equal(queue, delivery.getEnvelope().getRoutingKey(), "routing key");
            Expect.equal(i + 1L, delivery.getEnvelope().getDeliveryTag(), "delivery tag");
            Expect.holds(!delivery.getEnvelope().isRedeliver(), "redelivered");
            if (i % 10 == 9 || i % 10 < 5) {
              channel.basicAck(delivery.getEnvelope().getDeliveryTag(), i % 10 == 9);
            }
          }
          Delivery last = Expect.next(deliveries, "the last message");
          Expect.equal("one more", Broker.text(last.getBody()), "body");
          channel.basicAck(last.getEnvelope().getDeliveryTag(), false);
          channel.basicCancel(tag);
          Expect.equal(0L, channel.messageCount(queue), "messages left");
          Expect.equal(0, channel.queueDelete(queue, true, true).getMessageCount(), "deleted");
        });
  }

  static void mandatoryReturn(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          BlockingQueue<Return> returns = new LinkedBlockingQueue<>();
          BlockingQueue<String> events = new LinkedBlockingQueue<>();
          channel.addReturnListener(
              returned -> {
                events.add("return");
                returns.add(returned);
              });
          channel.addConfirmListener((tag, many) -> events.add("ack"), (tag, many) -> events.add("nack"));
          channel.confirmSelect();
          String missing = broker.name("nowhere");
          AMQP.BasicProperties properties =
              new AMQP.BasicProperties.Builder().messageId("r-1").headers(Map.of("attempt", 1)).build();
          channel.basicPublish("amq.direct", missing, true, properties, Broker.bytes("nobody"));
          Return returned = Expect.next(returns, "the return");
          Expect.equal(AMQP.NO_ROUTE, returned.getReplyCode(), "code");
          Expect.equal("NO_ROUTE", returned.getReplyText(), "text");
          Expect.equal("amq.direct", returned.getExchange(), "exchange");
          Expect.equal(missing, returned.getRoutingKey(), "routing key");
          Expect.equal("nobody", Broker.text(returned.getBody()), "body");
          Expect.equal("r-1", returned.getProperties().getMessageId(), "message id");
          Expect.equal(1, returned.getProperties().getHeaders().get("attempt"), "header");
          Expect.equal("return", Expect.next(events, "first event"), "first event");
          Expect.equal("ack", Expect.next(events, "second event"), "second event");
        });
  }

  static void requeueRedelivered(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          for (String body : List.of("a", "b", "c", "d")) {
            Broker.publish(channel, "", queue, body);
          }
          GetResponse a = channel.basicGet(queue, false);
          GetResponse b = channel.basicGet(queue, false);
          GetResponse c = channel.basicGet(queue, false);
          channel.basicAck(b.getEnvelope().getDeliveryTag(), false);
          channel.basicReject(c.getEnvelope().getDeliveryTag(), true);
          channel.basicNack(a.getEnvelope().getDeliveryTag(), false, true);
          // Back at their old positions, before what was never delivered.
          BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
          channel.basicConsume(queue, true, (tag, delivery) -> deliveries.add(delivery), tag -> {});
          for (String body : List.of("a", "c", "d")) {
            Delivery delivery = Expect.next(deliveries, body);
            Expect.equal(body, Broker.text(delivery.getBody()), "body");
            Expect.equal(!body.equals("d"), delivery.getEnvelope().isRedeliver(), body + " redelivered");
          }
        });
  }

  static void recover(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          for (int i = 0; i < 3; i++) {
            Broker.publish(channel, "", queue, body(i));
            channel.basicGet(queue, false);
          }
          channel.basicRecover(true);
          for (int i = 0; i < 3; i++) {
            GetResponse again = channel.basicGet(queue, true);
            Expect.equal(body(i), Broker.text(again.getBody()), "body");
            Expect.holds(again.getEnvelope().isRedeliver(), "redelivered");
          }
        });
  }

  static void get(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          Expect.equal(null, channel.basicGet(queue, false), "get of an empty queue");
          Broker.publish(channel, "", queue, "first");
          Broker.publish(channel, "", queue, "second");
          GetResponse first = channel.basicGet(queue, false);
          Expect.equal("first", Broker.text(first.getBody()), "body");
          Expect.equal(1, first.getMessageCount(), "messages left");
          GetResponse second = channel.basicGet(queue, true);
          Expect.equal("second", Broker.text(second.getBody()), "body");
          Expect.equal(0, second.getMessageCount(), "messages left");
          channel.basicAck(first.getEnvelope().getDeliveryTag(), false);
          Expect.equal(null, channel.basicGet(queue, true), "get at the end");
        });
  }

  static void tx(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          channel.txSelect();
          Broker.publish(channel, "", queue, "rolled back");
          channel.txRollback();
          Broker.publish(channel, "", queue, "committed");
          Expect.equal(0L, channel.messageCount(queue), "messages before the commit");
          channel.txCommit();
          Expect.equal(1L, channel.messageCount(queue), "messages after the commit");
          GetResponse got = channel.basicGet(queue, false);
          Expect.equal("committed", Broker.text(got.getBody()), "body");
          channel.basicAck(got.getEnvelope().getDeliveryTag(), false);
          channel.txRollback();
          channel.basicRecover(true);
          GetResponse again = channel.basicGet(queue, false);
          Expect.equal("committed", Broker.text(again.getBody()), "body after the rolled back ack");
          channel.basicAck(again.getEnvelope().getDeliveryTag(), false);
          channel.txCommit();
        });
    broker.withChannel(
        channel -> {
          channel.confirmSelect();
          Expect.channelClosed(
              406,
              "PRECONDITION_FAILED - cannot switch from confirm to tx mode",
              () -> channel.txSelect());
        });
  }

  static void propertiesRoundTrip(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          Map<String, Object> headers = new HashMap<>();
          headers.put("text", "Grüße");
          headers.put("int", 70000);
          headers.put("long", 1L << 40);
          headers.put("short", (short) -300);
          headers.put("byte", (byte) -7);
          headers.put("bool", true);
          headers.put("float", 1.5f);
          headers.put("double", 2.25);
          headers.put("decimal", new BigDecimal("3.14"));
          headers.put("bytes", new byte[] {0, 1, -1});
          headers.put("time", new Date(1_700_000_000_000L));
          headers.put("none", null);
          headers.put("list", List.of(1, "two", Map.of("three", 3)));
          headers.put("table", Map.of("inner", Map.of("x", 1)));
          Date timestamp = new Date(1_700_000_001_000L);
          AMQP.BasicProperties sent =
              new AMQP.BasicProperties(
                  "application/json", "gzip", headers, 1, 4, "correlation", "reply", "600000", "id",
                  timestamp, "kind", broker.user, "compat", null);
          channel.basicPublish("", queue, sent, new byte[0]);
          GetResponse got = channel.basicGet(queue, true);
          AMQP.BasicProperties received = got.getProps();
          Expect.equal(0, got.getBody().length, "body bytes");
          Expect.equal(fields(sent), fields(received), "properties");
          Expect.equal(headers.keySet(), received.getHeaders().keySet(), "header names");
          for (Map.Entry<String, Object> header : headers.entrySet()) {
            Object value = plain(received.getHeaders().get(header.getKey()));
            Expect.equal(plain(header.getValue()), value, "header " + header.getKey());
          }
        });
  }

  private static List<Object> fields(AMQP.BasicProperties properties) {
    return Arrays.asList(
        properties.getContentType(), properties.getContentEncoding(), properties.getDeliveryMode(),
        properties.getPriority(), properties.getCorrelationId(), properties.getReplyTo(),
        properties.getExpiration(), properties.getMessageId(), properties.getTimestamp(),
        properties.getType(), properties.getUserId(), properties.getAppId());
  }

  /** Strings come back as the library's LongString: alike here at every depth. */
  private static Object plain(Object value) {
    if (value instanceof String text) {
      return LongStringHelper.asLongString(text);
    }
    if (value instanceof LongString) {
      return value;
    }
    if (value instanceof List<?> list) {
      List<Object> items = new ArrayList<>();
      list.forEach(item -> items.add(plain(item)));
      return items;
    }
    if (value instanceof Map<?, ?> map) {
      Map<Object, Object> entries = new HashMap<>();
      map.forEach((name, item) -> entries.put(name, plain(item)));
      return entries;
    }
    return value;
  }

  static void largeBody(Broker broker) throws Exception {
    broker.withChannel(
        channel -> {
          String queue = Broker.queue(channel);
          byte[] large = new byte[(5 << 20) + 17];
          for (int i = 0; i < large.length; i++) {
            large[i] = (byte) (i * 31 >> 3);
          }
          channel.basicPublish("", queue, null, large);
          BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
          channel.basicConsume(queue, true, (tag, delivery) -> deliveries.add(delivery), tag -> {});
          byte[] got = Expect.next(deliveries, "the large message").getBody();
          Expect.holds(Arrays.equals(large, got), "the body changed, " + got.length + " bytes");
        });
  }

  private Messages() {}
}
