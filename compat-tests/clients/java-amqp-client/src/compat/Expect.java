package compat;

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Method;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/** What the checks assert with. Every wait has this deadline. */
final class Expect {
  static final int DEADLINE_SECONDS = 30;

  static void equal(Object wanted, Object got, String what) {
    if (!Objects.deepEquals(wanted, got)) {
      throw new AssertionError(what + ": want " + wanted + ", got " + got);
    }
  }

  static void holds(boolean condition, String what) {
    if (!condition) {
      throw new AssertionError(what);
    }
  }

  static <T> T next(BlockingQueue<T> queue, String what) throws InterruptedException {
    T value = queue.poll(DEADLINE_SECONDS, TimeUnit.SECONDS);
    holds(value != null, what + ": nothing after " + DEADLINE_SECONDS + " s");
    return value;
  }

  /** Waits until so many are ready: RabbitMQ lets a passive declare overtake publishes. */
  static void ready(Channel channel, String queue, long wanted) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE_SECONDS);
    long ready = channel.messageCount(queue);
    while (ready != wanted) {
      holds(System.nanoTime() < deadline, ready + " ready, want " + wanted);
      ready = channel.messageCount(queue);
    }
  }

  /** The call fails because the broker closed the channel with this code and text. */
  static void channelClosed(int code, String text, Callable<?> call) throws Exception {
    try {
      call.call();
    } catch (Exception failure) {
      for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
        if (cause instanceof ShutdownSignalException signal) {
          Method reason = signal.getReason();
          holds(!signal.isHardError(), "the connection closed: " + signal.getMessage());
          AMQP.Channel.Close close = (AMQP.Channel.Close) reason;
          equal(text, close.getReplyText(), "reply text");
          equal(code, close.getReplyCode(), "reply code");
          return;
        }
      }
      throw failure;
    }
    throw new AssertionError("accepted, want " + code + " " + text);
  }

  static String describe(Throwable problem) {
    StringBuilder text = new StringBuilder();
    for (Throwable cause = problem; cause != null; cause = cause.getCause()) {
      text.append(text.isEmpty() ? "" : ", caused by ").append(cause);
    }
    return text.toString().replace('\n', ' ');
  }

  private Expect() {}
}
