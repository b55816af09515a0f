package compat;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.RpcClientParams;
import com.rabbitmq.client.RpcServer;
import java.io.IOException;

/** The library's RpcServer and RpcClient, over a reply queue and over direct reply-to. */
final class Rpc {
  private static final int CALLS = 200;
  private static final String DIRECT_REPLY_TO = "amq.rabbitmq.reply-to";

  private static final class Squares extends RpcServer {
    Squares(Channel channel, String queue) throws IOException {
      super(channel, queue);
    }

    @Override
    public byte[] handleCall(Delivery request, AMQP.BasicProperties replyProperties) {
      int n = Integer.parseInt(Broker.text(request.getBody()));
      return Broker.bytes("" + n * n);
    }
  }

  static void replyQueue(Broker broker) throws Exception {
    broker.withChannel(channel -> calls(broker, channel, Broker.queue(channel)));
  }

  static void directReplyTo(Broker broker) throws Exception {
    broker.withChannel(channel -> calls(broker, channel, DIRECT_REPLY_TO));
  }

  private static void calls(Broker broker, Channel channel, String replyTo)
      throws Exception {
    Thread serving;
    try (Connection connection = broker.factory().newConnection("compat-java-rpc")) {
      Channel serverChannel = connection.createChannel();
      String requests = broker.name("rpc-" + replyTo);
      serverChannel.queueDeclare(requests, false, false, true, null);
      Squares server = new Squares(serverChannel, requests);
      serving = new Thread(() -> serve(server));
      serving.start();
      RpcClient client =
          new RpcClient(
              new RpcClientParams()
                  .channel(channel)
                  .exchange("")
                  .routingKey(requests)
                  .replyTo(replyTo)
                  .timeout(Expect.DEADLINE_SECONDS * 1000));
      for (int i = 0; i < CALLS; i++) {
        RpcClient.Response response = client.doCall(null, Broker.bytes("" + i));
        Expect.equal("" + i * i, Broker.text(response.getBody()), "answer " + i);
      }
      client.close();
    }
    // The server's loop ends with its channel.
    serving.join(Expect.DEADLINE_SECONDS * 1000L);
    Expect.holds(!serving.isAlive(), "the server goes on");
  }

  private static void serve(Squares server) {
    try {
      server.mainloop();
    } catch (IOException failed) {
      // Shows as a call without an answer.
      System.err.println("rpc server: " + failed);
    }
  }

  private Rpc() {}
}
