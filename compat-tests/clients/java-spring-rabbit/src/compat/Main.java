package compat;

import java.util.LinkedHashMap;
import java.util.Map;

/** Runs every check and prints a line for each; compat-tests/README.md has the contract. */
public final class Main {
  private interface Check {
    void run(Broker broker) throws Exception;
  }

  public static void main(String[] arguments) {
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("connect", Declaring::connect);
    checks.put("declare", Declaring::declare);
    checks.put("confirm-publish-10000", Sending::confirms);
    checks.put("consume-prefetch-ack", Listening::prefetchAndAck);
    checks.put("exchange-types", Declaring::exchangeTypes);
    checks.put("channel-error", Declaring::channelError);
    checks.put("queue-builder", Declaring::queueBuilder);
    checks.put("mandatory-return", Sending::mandatoryReturn);
    checks.put("rpc-reply-queue", Sending::replyQueue);
    checks.put("direct-reply-to", Sending::directReplyTo);
    checks.put("requeue-redelivered", Listening::requeueRedelivered);
    checks.put("rejected-to-dead-letters", Listening::rejectedToDeadLetters);
    checks.put("batches", Listening::batches);
    checks.put("consumer-cancel-notify", Listening::cancelledAndBack);
    checks.put("annotated-listeners", Listening::annotated);
    checks.put("get", Sending::get);
    checks.put("tx", Sending::transactions);
    checks.put("properties-round-trip", Sending::properties);
    checks.put("heartbeat-idle", Listening::heartbeats);
    checks.put("close", Listening::closeCleanly);

    boolean failed = false;
    try (Broker broker = new Broker()) {
      for (Map.Entry<String, Check> check : checks.entrySet()) {
        try {
          check.getValue().run(broker);
          System.out.println("ok " + check.getKey());
        } catch (Exception | AssertionError problem) {
          failed = true;
          System.out.println("not ok " + check.getKey() + ": " + Expect.describe(problem));
        }
      }
    } catch (Exception problem) {
      failed = true;
      System.out.println("not ok connect: " + Expect.describe(problem));
    }
    System.exit(failed ? 1 : 0);
  }

  private Main() {}
}
