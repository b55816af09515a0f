#include "library.h"

#include "harness.h"

#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static struct timeval patience(void)
{
    return (struct timeval){.tv_sec = PATIENCE};
}

amqp_connection_state_t connect_socket(void)
{
    struct broker broker = broker_from_environment();
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    struct timeval limit = patience();
    expect(amqp_socket_open_noblock(socket, broker.host, broker.port, &limit) == AMQP_STATUS_OK, "no TCP connection");
    amqp_set_rpc_timeout(connection, &limit);
    amqp_set_handshake_timeout(connection, &limit);
    return connection;
}

amqp_connection_state_t connect_with_properties(int heartbeat, const amqp_table_t *properties)
{
    struct broker broker = broker_from_environment();
    amqp_connection_state_t connection = connect_socket();
    amqp_rpc_reply_t reply = amqp_login_with_properties(
        connection, broker.vhost, AMQP_DEFAULT_MAX_CHANNELS, AMQP_DEFAULT_FRAME_SIZE, heartbeat, properties,
        AMQP_SASL_METHOD_PLAIN, broker.user, broker.password);
    expect(reply.reply_type == AMQP_RESPONSE_NORMAL, "login refused");
    open_channel(connection, 1);
    return connection;
}

amqp_connection_state_t connect_to_broker(int heartbeat)
{
    return connect_with_properties(heartbeat, &amqp_empty_table);
}

void open_channel(amqp_connection_state_t connection, amqp_channel_t channel)
{
    amqp_channel_open(connection, channel);
    expect_success(connection, "channel.open");
}

void disconnect(amqp_connection_state_t connection)
{
    amqp_rpc_reply_t reply = amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    expect(reply.reply_type == AMQP_RESPONSE_NORMAL, "connection.close was not answered");
    expect_number(AMQP_STATUS_OK, amqp_destroy_connection(connection), "closing the socket");
}

const char *text_of(amqp_bytes_t bytes)
{
    char *text = strndup(bytes.bytes == NULL ? "" : bytes.bytes, bytes.len);
    if (text == NULL) {
        abort();
    }
    return text;
}

void expect_success(amqp_connection_state_t connection, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        return;
    }
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        fail("%s: %s", what, amqp_error_string2(reply.library_error));
    }
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_channel_close_t *closed = reply.reply.decoded;
        fail("%s: channel.close %d %s", what, closed->reply_code, text_of(closed->reply_text));
    }
    amqp_connection_close_t *closed = reply.reply.decoded;
    fail("%s: connection.close %d %s", what, closed->reply_code, text_of(closed->reply_text));
}

void expect_channel_close(amqp_connection_state_t connection, amqp_channel_t channel, int code, const char *text)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
    expect(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD,
           "the answer is not channel.close");
    amqp_channel_close_t *closed = reply.reply.decoded;
    expect_number(code, closed->reply_code, "reply code");
    expect_text(text, text_of(closed->reply_text), "reply text");
    amqp_channel_close_ok_t answer = {0};
    expect_number(AMQP_STATUS_OK, amqp_send_method(connection, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &answer),
                  "channel.close-ok");
}

const amqp_field_value_t *table_value(const amqp_table_t *table, const char *key)
{
    for (int n = 0; n < table->num_entries; n++) {
        amqp_bytes_t name = table->entries[n].key;
        if (name.len == strlen(key) && memcmp(name.bytes, key, name.len) == 0) {
            return &table->entries[n].value;
        }
    }
    fail("%s is missing in the table", key);
}

amqp_bytes_t temporary_queue(amqp_connection_state_t connection, amqp_channel_t channel)
{
    amqp_queue_declare_ok_t *declared =
        amqp_queue_declare(connection, channel, amqp_empty_bytes, 0, 0, 1, 1, amqp_empty_table);
    expect_success(connection, "queue.declare");
    return amqp_bytes_malloc_dup(declared->queue);
}

amqp_bytes_t temporary_exchange(amqp_connection_state_t connection, const char *suffix, const char *type,
                                amqp_table_t arguments)
{
    amqp_bytes_t name = amqp_cstring_bytes(unique(suffix));
    amqp_exchange_declare(connection, 1, name, amqp_cstring_bytes(type), 0, 0, 1, 0, arguments);
    expect_success(connection, "exchange.declare");
    return name;
}

void bind_queue(amqp_connection_state_t connection, amqp_bytes_t queue, amqp_bytes_t exchange, const char *key,
                amqp_table_t arguments)
{
    amqp_queue_bind(connection, 1, queue, exchange, amqp_cstring_bytes(key), arguments);
    expect_success(connection, "queue.bind");
}

void publish(amqp_connection_state_t connection, amqp_bytes_t exchange, const char *key, const char *body)
{
    int status = amqp_basic_publish(connection, 1, exchange, amqp_cstring_bytes(key), 0, 0, NULL,
                                    amqp_cstring_bytes(body));
    expect_number(AMQP_STATUS_OK, status, "basic.publish");
}

void consume(amqp_connection_state_t connection, amqp_bytes_t queue)
{
    amqp_basic_consume(connection, 1, queue, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    expect_success(connection, "basic.consume");
}

amqp_envelope_t next_delivery(amqp_connection_state_t connection)
{
    struct timeval limit = patience();
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &limit, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail("no delivery: %s", amqp_error_string2(reply.library_error));
    }
    return envelope;
}

void *wait_for_method(amqp_connection_state_t connection, amqp_channel_t channel, amqp_method_number_t method)
{
    struct timeval limit = patience();
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(connection, &frame, &limit);
    if (status != AMQP_STATUS_OK) {
        fail("waiting for %s: %s", amqp_method_name(method), amqp_error_string2(status));
    }
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.channel != channel || frame.payload.method.id != method) {
        fail("waiting for %s: another frame came", amqp_method_name(method));
    }
    return frame.payload.method.decoded;
}

bool get(amqp_connection_state_t connection, amqp_bytes_t queue, bool no_ack, amqp_basic_get_ok_t *answer,
         amqp_message_t *message)
{
    amqp_maybe_release_buffers(connection);
    amqp_rpc_reply_t reply = amqp_basic_get(connection, 1, queue, no_ack);
    expect(reply.reply_type == AMQP_RESPONSE_NORMAL, "basic.get failed");
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) {
        return false;
    }
    *answer = *(amqp_basic_get_ok_t *)reply.reply.decoded;
    reply = amqp_read_message(connection, 1, message, 0);
    expect(reply.reply_type == AMQP_RESPONSE_NORMAL, "the message of basic.get-ok cannot be read");
    return true;
}

const char *drain(amqp_connection_state_t connection, amqp_bytes_t queue)
{
    char *bodies = strdup("");
    amqp_basic_get_ok_t answer;
    amqp_message_t message;
    while (get(connection, queue, true, &answer, &message)) {
        char *longer = NULL;
        if (asprintf(&longer, "%s%s%s", bodies, *bodies == '\0' ? "" : ",", text_of(message.body)) < 0) {
            abort();
        }
        free(bodies);
        bodies = longer;
        amqp_destroy_message(&message);
    }
    return bodies;
}

int waiting(amqp_connection_state_t connection, amqp_channel_t channel, amqp_bytes_t queue)
{
    amqp_queue_declare_ok_t *declared =
        amqp_queue_declare(connection, channel, queue, 1, 0, 0, 0, amqp_empty_table);
    expect_success(connection, "passive queue.declare");
    return (int)declared->message_count;
}

/// What is known of the confirms of the one channel that is in confirm mode.
static struct {
    unsigned long long complete_to;
    bool acknowledged[1 << 14];
} confirms;

void select_confirms(amqp_connection_state_t connection)
{
    amqp_confirm_select(connection, 1);
    expect_success(connection, "confirm.select");
    memset(&confirms, 0, sizeof confirms);
}

void wait_for_confirms(amqp_connection_state_t connection, unsigned long long last)
{
    expect(last < sizeof confirms.acknowledged, "more messages than the table of confirms has room for");
    while (confirms.complete_to < last) {
        amqp_basic_ack_t *ack = wait_for_method(connection, 1, AMQP_BASIC_ACK_METHOD);
        expect(ack->delivery_tag <= last, "a confirm for what was not published");
        unsigned long long first = ack->multiple ? confirms.complete_to + 1 : ack->delivery_tag;
        for (unsigned long long tag = first; tag <= ack->delivery_tag; tag++) {
            confirms.acknowledged[tag] = true;
        }
        while (confirms.complete_to < last && confirms.acknowledged[confirms.complete_to + 1]) {
            confirms.complete_to++;
        }
        amqp_maybe_release_buffers(connection);
    }
}
