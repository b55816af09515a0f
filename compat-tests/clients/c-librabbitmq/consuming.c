// Checks of what a consumer leans on: get, requeue, RPC, prefetch, cancellation.

#include "checks.h"
#include "library.h"

#include <amqp_framing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void get_messages(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t queue = temporary_queue(connection, 1);
    amqp_basic_get_ok_t answer;
    amqp_message_t message;
    expect(!get(connection, queue, false, &answer, &message), "a message came from an empty queue");
    const char *bodies[] = {"first", "second", "third"};
    for (int n = 0; n < 3; n++) {
        publish(connection, amqp_empty_bytes, text_of(queue), bodies[n]);
    }
    expect(get(connection, queue, false, &answer, &message), "the queue is empty");
    expect_text("first", text_of(message.body), "body");
    expect_number(2, answer.message_count, "messages left");
    expect_text("", text_of(answer.exchange), "exchange");
    expect_text(text_of(queue), text_of(answer.routing_key), "routing key");
    expect(!answer.redelivered, "marked redelivered");
    amqp_destroy_message(&message);
    amqp_basic_ack(connection, 1, answer.delivery_tag, 0);
    expect_text("second,third", drain(connection, queue), "the rest, in no-ack mode");
    disconnect(connection);
}

static void nacked_messages_return_to_their_place(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t queue = temporary_queue(connection, 1);
    const char *bodies[] = {"a", "b", "c"};
    for (int n = 0; n < 3; n++) {
        publish(connection, amqp_empty_bytes, text_of(queue), bodies[n]);
    }
    amqp_basic_get_ok_t taken[2], answer;
    amqp_message_t message;
    for (int n = 0; n < 2; n++) {
        expect(get(connection, queue, false, &taken[n], &message), "the queue is empty");
        amqp_destroy_message(&message);
    }
    // Back in the other order than they came: each returns to its own place.
    amqp_basic_nack(connection, 1, taken[1].delivery_tag, 0, 1);
    amqp_basic_nack(connection, 1, taken[0].delivery_tag, 0, 1);
    for (int n = 0; n < 3; n++) {
        expect(get(connection, queue, true, &answer, &message), "a message is gone");
        expect_text(bodies[n], text_of(message.body), "body after nack with requeue");
        expect_number(n < 2, answer.redelivered, "redelivered flag");
        amqp_destroy_message(&message);
    }

    publish(connection, amqp_empty_bytes, text_of(queue), "rejected");
    expect(get(connection, queue, false, &answer, &message), "the queue is empty");
    amqp_destroy_message(&message);
    amqp_basic_reject(connection, 1, answer.delivery_tag, 0);
    expect_text("", drain(connection, queue), "after reject without requeue");
    disconnect(connection);
}

/// Answers one request: the square of its number, to its reply queue.
static void serve_one(amqp_connection_state_t server)
{
    amqp_envelope_t request = next_delivery(server);
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
        .correlation_id = request.message.properties.correlation_id,
    };
    int number = atoi(text_of(request.message.body));
    char square[32];
    snprintf(square, sizeof square, "%d", number * number);
    amqp_basic_publish(server, 1, amqp_empty_bytes, request.message.properties.reply_to, 0, 0, &properties,
                       amqp_cstring_bytes(square));
    amqp_basic_ack(server, 1, request.delivery_tag, 0);
    amqp_destroy_envelope(&request);
}

static void rpc_over_a_reply_queue(void)
{
    amqp_connection_state_t server = connect_to_broker(HEARTBEAT_NONE);
    amqp_connection_state_t client = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t requests = temporary_queue(server, 1);
    consume(server, requests);
    amqp_bytes_t replies = temporary_queue(client, 1);
    expect(strncmp(text_of(replies), "amq.gen-", 8) == 0, "the server-named queue is not called amq.gen-…");
    consume(client, replies);
    for (int n = 0; n < 200; n++) {
        char number[32], square[32], id[32];
        snprintf(number, sizeof number, "%d", n);
        snprintf(square, sizeof square, "%d", n * n);
        snprintf(id, sizeof id, "call-%d", n);
        amqp_basic_properties_t properties = {
            ._flags = AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG,
            .correlation_id = amqp_cstring_bytes(id),
            .reply_to = replies,
        };
        amqp_basic_publish(client, 1, amqp_empty_bytes, requests, 1, 0, &properties, amqp_cstring_bytes(number));
        serve_one(server);
        amqp_envelope_t reply = next_delivery(client);
        expect_text(id, text_of(reply.message.properties.correlation_id), "correlation id");
        expect_text(square, text_of(reply.message.body), "answer");
        amqp_basic_ack(client, 1, reply.delivery_tag, 0);
        amqp_destroy_envelope(&reply);
    }
    disconnect(client);
    disconnect(server);
}

static void prefetch_limits_deliveries(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    open_channel(connection, 2);
    amqp_bytes_t queue = temporary_queue(connection, 1);
    for (int n = 0; n < 10; n++) {
        char body[8];
        snprintf(body, sizeof body, "%d", n);
        publish(connection, amqp_empty_bytes, text_of(queue), body);
    }
    amqp_basic_qos(connection, 1, 0, 3, 0);
    expect_success(connection, "basic.qos");
    consume(connection, queue);
    for (int n = 0; n < 6; n++) {
        char body[8];
        snprintf(body, sizeof body, "%d", n);
        amqp_envelope_t envelope = next_delivery(connection);
        expect_text(body, text_of(envelope.message.body), "body");
        amqp_destroy_envelope(&envelope);
        if (n == 2) {
            expect_number(7, waiting(connection, 2, queue), "messages waiting at prefetch 3");
            amqp_basic_ack(connection, 1, 3, 1);
        }
    }
    struct timeval moment = {.tv_usec = 300000};
    amqp_envelope_t envelope;
    amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &moment, 0);
    expect_number(AMQP_STATUS_TIMEOUT, reply.library_error, "a delivery beyond the prefetch");
    disconnect(connection);
}

static void consumer_is_told_of_a_deleted_queue(void)
{
    // The library does not ask for cancel notifications by itself.
    amqp_table_entry_t wish = {amqp_cstring_bytes("consumer_cancel_notify"),
                               {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
    amqp_table_entry_t capabilities = {amqp_cstring_bytes("capabilities"),
                                       {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {1, &wish}}};
    amqp_connection_state_t connection = connect_with_properties(HEARTBEAT_NONE, &(amqp_table_t){1, &capabilities});
    open_channel(connection, 2);
    amqp_bytes_t queue = temporary_queue(connection, 2);
    amqp_basic_consume(connection, 1, queue, amqp_cstring_bytes("watcher"), 0, 0, 0, amqp_empty_table);
    expect_success(connection, "basic.consume");
    amqp_queue_delete(connection, 2, queue, 0, 0);
    expect_success(connection, "queue.delete");
    amqp_basic_cancel_t *cancel = wait_for_method(connection, 1, AMQP_BASIC_CANCEL_METHOD);
    expect_text("watcher", text_of(cancel->consumer_tag), "consumer tag");
    disconnect(connection);
}

static void cancelled_consumer_gets_nothing(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t queue = amqp_cstring_bytes(unique("cancel"));
    amqp_queue_declare(connection, 1, queue, 0, 0, 1, 0, amqp_empty_table);
    expect_success(connection, "queue.declare");
    amqp_basic_consume_ok_t *consuming =
        amqp_basic_consume(connection, 1, queue, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    expect_success(connection, "basic.consume");
    const char *tag = text_of(consuming->consumer_tag);
    expect(strncmp(tag, "amq.ctag-", 9) == 0, "the server's consumer tag is not called amq.ctag-…");
    amqp_basic_cancel_ok_t *cancelled = amqp_basic_cancel(connection, 1, amqp_cstring_bytes(tag));
    expect_success(connection, "basic.cancel");
    expect_text(tag, text_of(cancelled->consumer_tag), "tag in cancel-ok");
    publish(connection, amqp_empty_bytes, text_of(queue), "kept");
    expect_text("kept", drain(connection, queue), "after the cancel");
    disconnect(connection);
}

const struct check consuming_checks[] = {
    {"get", get_messages},
    {"requeue-redelivered", nacked_messages_return_to_their_place},
    {"rpc-reply-queue", rpc_over_a_reply_queue},
    {"prefetch-limit", prefetch_limits_deliveries},
    {"consumer-cancel-notify", consumer_is_told_of_a_deleted_queue},
    {"cancel", cancelled_consumer_gets_nothing},
    {0},
};
