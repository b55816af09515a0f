package compat;

import java.util.LinkedHashMap;
import java.util.Map;

/** Runs every check and prints a line for each; compat-tests/README.md has the contract. */
public final class Main {
  private interface Check {
    void run(Broker broker) throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("connect", Connections::connect);
    checks.put("login-refused", Connections::loginRefused);
    checks.put("declare", Entities::declare);
    checks.put("confirm-publish-10000", Messages::confirmPublish);
    checks.put("consume-prefetch-ack", Messages::consumePrefetchAck);
    checks.put("exchange-types", Exchanges::types);
    checks.put("channel-error", Entities::channelError);
    checks.put("mandatory-return", Messages::mandatoryReturn);
    checks.put("rpc-reply-queue", Rpc::replyQueue);
    checks.put("requeue-redelivered", Messages::requeueRedelivered);
    checks.put("recover", Messages::recover);
    checks.put("get", Messages::get);
    checks.put("tx", Messages::tx);
    checks.put("properties-round-trip", Messages::propertiesRoundTrip);
    checks.put("large-body", Messages::largeBody);
    checks.put("global-qos", Consumers::globalQos);
    checks.put("consumer-priorities", Consumers::priorities);
    checks.put("exclusive-consumer", Consumers::exclusive);
    checks.put("consumer-cancel-notify", Consumers::cancelNotify);
    checks.put("connection-recovery", Recovery::recovers);
    checks.put("heartbeat-idle", Connections::heartbeatIdle);
    checks.put("close", Connections::closeCleanly);

    boolean failed = false;
    try (Broker broker = new Broker()) {
      if (broker.advertises("direct_reply_to")) {
        checks.put("direct-reply-to", Rpc::directReplyTo);
      }
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
