package compat;

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

  /** Asks until it is so. */
  static void becomes(Object wanted, Callable<?> asked, String what) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE_SECONDS);
    Object got = asked.call();
    while (!Objects.equals(wanted, got)) {
      holds(System.nanoTime() < deadline, what + ": want " + wanted + ", still " + got);
      got = asked.call();
    }
  }

  /** The call fails, and some cause of that says this. */
  static void refused(String text, Callable<?> call) throws Exception {
    try {
      call.call();
    } catch (Exception failure) {
      holds(describe(failure).contains(text), "want " + text + ", got " + describe(failure));
      return;
    }
    throw new AssertionError("accepted, want " + text);
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
