// Checks of connections and channels: opening, properties, errors, heartbeats, closing.

#include "checks.h"
#include "library.h"

#include <amqp_framing.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void connect_reads_server_properties(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    const amqp_table_t *properties = amqp_get_server_properties(connection);
    expect_text("RabbitMQ", text_of(table_value(properties, "product")->value.bytes), "product");
    int major = 0, minor = 0, patch = 0;
    const char *version = text_of(table_value(properties, "version")->value.bytes);
    expect_number(3, sscanf(version, "%d.%d.%d", &major, &minor, &patch), "numbers in the version");
    amqp_table_t capabilities = table_value(properties, "capabilities")->value.table;
    const char *needed[] = {"publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                            "consumer_cancel_notify", "per_consumer_qos", "authentication_failure_close"};
    for (unsigned n = 0; n < sizeof needed / sizeof needed[0]; n++) {
        expect(table_value(&capabilities, needed[n])->value.boolean, needed[n]);
    }
    disconnect(connection);
}

static void tuning_takes_the_lower_values(void)
{
    struct broker broker = broker_from_environment();
    amqp_connection_state_t connection = connect_socket();
    amqp_rpc_reply_t reply = amqp_login(connection, broker.vhost, 7, 8192, 11, AMQP_SASL_METHOD_PLAIN, broker.user,
                                        broker.password);
    expect(reply.reply_type == AMQP_RESPONSE_NORMAL, "login refused");
    expect_number(7, amqp_get_channel_max(connection), "channels");
    expect_number(8192, amqp_get_frame_max(connection), "frame size");
    expect_number(11, amqp_get_heartbeat(connection), "heartbeat");

    // A body over many of these small frames, both ways.
    open_channel(connection, 7);
    amqp_bytes_t queue = temporary_queue(connection, 7);
    static char body[100000];
    memset(body, 'x', sizeof body - 1);
    amqp_basic_publish(connection, 7, amqp_empty_bytes, queue, 0, 0, NULL, amqp_cstring_bytes(body));
    expect(amqp_basic_get(connection, 7, queue, 1).reply_type == AMQP_RESPONSE_NORMAL, "basic.get");
    amqp_message_t message;
    expect(amqp_read_message(connection, 7, &message, 0).reply_type == AMQP_RESPONSE_NORMAL, "reading the message");
    expect_text(body, text_of(message.body), "body");
    amqp_destroy_message(&message);
    disconnect(connection);
}

static void wrong_password_is_refused(void)
{
    struct broker broker = broker_from_environment();
    amqp_connection_state_t connection = connect_socket();
    amqp_rpc_reply_t reply = amqp_login(connection, broker.vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                        AMQP_SASL_METHOD_PLAIN, broker.user, "wrong");
    expect(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD,
           "the answer is not connection.close");
    amqp_connection_close_t *closed = reply.reply.decoded;
    expect_number(403, closed->reply_code, "reply code");
    expect_text("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker"
                " logfile.",
                text_of(closed->reply_text), "reply text");
    amqp_destroy_connection(connection);
}

static void channel_error_leaves_the_connection(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    const char *missing = unique("missing");
    char text[512];
    snprintf(text, sizeof text, "NOT_FOUND - no queue '%s' in vhost '%s'", missing, broker_from_environment().vhost);
    amqp_queue_declare(connection, 1, amqp_cstring_bytes(missing), 1, 0, 0, 0, amqp_empty_table);
    expect_channel_close(connection, 1, 404, text);

    // The same number again, and another.
    open_channel(connection, 1);
    open_channel(connection, 2);
    amqp_bytes_t queue = temporary_queue(connection, 2);
    publish(connection, amqp_empty_bytes, text_of(queue), "after the error");
    expect_text("after the error", drain(connection, queue), "bodies");
    disconnect(connection);
}

static void idle_connection_lives_by_heartbeats(void)
{
    const int interval = 2;
    amqp_connection_state_t connection = connect_to_broker(interval);
    expect_number(interval, amqp_get_heartbeat(connection), "negotiated heartbeat");
    amqp_bytes_t queue = temporary_queue(connection, 1);
    consume(connection, queue);
    // Idle on purpose. The library sends heartbeats while it waits, and reports the broker's absence.
    for (double end = now() + 3 * interval; now() < end;) {
        struct timeval second = {.tv_sec = 1};
        amqp_frame_t frame;
        expect_number(AMQP_STATUS_TIMEOUT, amqp_simple_wait_frame_noblock(connection, &frame, &second), "idle wait");
    }
    publish(connection, amqp_empty_bytes, text_of(queue), "after idling");
    amqp_envelope_t envelope = next_delivery(connection);
    expect_text("after idling", text_of(envelope.message.body), "body");
    amqp_destroy_envelope(&envelope);
    disconnect(connection);
}

static void silent_client_is_dropped(void)
{
    const int interval = 1;
    amqp_connection_state_t connection = connect_to_broker(interval);
    double begin = now();
    int heartbeats = 0;
    // Read past the library, so that nothing is ever sent; the broker ends it after 2 to 3 intervals.
    for (;;) {
        struct pollfd readable = {.fd = amqp_get_sockfd(connection), .events = POLLIN};
        if (poll(&readable, 1, PATIENCE * 1000) == 0) {
            fail("still connected after %d s of silence", PATIENCE);
        }
        char bytes[256];
        ssize_t count = recv(readable.fd, bytes, sizeof bytes, 0);
        if (count == 0 || (count < 0 && errno == ECONNRESET)) {
            break;
        }
        expect_number(0, count % 8, "octets beyond whole heartbeat frames");
        heartbeats += (int)count / 8;
    }
    double seconds = now() - begin;
    expect(heartbeats >= 2, "fewer than 2 heartbeats came");
    expect(seconds > 1.5 * interval, "dropped too early");
    expect(seconds < 6 * interval, "dropped too late");
    amqp_destroy_connection(connection);
}

static void channel_and_connection_close(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    open_channel(connection, 2);
    amqp_bytes_t queue = temporary_queue(connection, 1);
    amqp_rpc_reply_t reply = amqp_channel_close(connection, 2, AMQP_REPLY_SUCCESS);
    expect(reply.reply_type == AMQP_RESPONSE_NORMAL, "channel.close was not answered");
    publish(connection, amqp_empty_bytes, text_of(queue), "still here");
    expect_text("still here", drain(connection, queue), "the other channel");
    open_channel(connection, 2);
    disconnect(connection);

    // The exclusive queue went with its connection.
    connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_queue_declare(connection, 1, queue, 1, 0, 0, 0, amqp_empty_table);
    char text[512];
    snprintf(text, sizeof text, "NOT_FOUND - no queue '%s' in vhost '%s'", text_of(queue),
             broker_from_environment().vhost);
    expect_channel_close(connection, 1, 404, text);
    disconnect(connection);
}

const struct check connection_checks[] = {
    {"connect", connect_reads_server_properties},
    {"tune", tuning_takes_the_lower_values},
    {"refused-password", wrong_password_is_refused},
    {"channel-error", channel_error_leaves_the_connection},
    {"heartbeat-idle", idle_connection_lives_by_heartbeats},
    {"heartbeat-missed", silent_client_is_dropped},
    {"close", channel_and_connection_close},
    {0},
};
