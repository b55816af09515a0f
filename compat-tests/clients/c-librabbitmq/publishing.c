// Checks of what a publisher leans on: declarations, confirms, returns, transactions, content.

#include "checks.h"
#include "library.h"

#include <amqp_framing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 10000 };

/// The durable queue of the 10,000, which one check fills and the next empties.
static amqp_bytes_t many_queue(void)
{
    static const char *name;
    if (name == NULL) {
        name = unique("many");
    }
    return amqp_cstring_bytes(name);
}

static void declarations(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t queue = amqp_cstring_bytes(unique("declare"));
    amqp_queue_declare_ok_t *declared = amqp_queue_declare(connection, 1, queue, 0, 1, 0, 0, amqp_empty_table);
    expect_success(connection, "queue.declare");
    expect_text(text_of(queue), text_of(declared->queue), "name in declare-ok");
    expect_number(0, declared->message_count, "messages in a new queue");
    consume(connection, queue);
    declared = amqp_queue_declare(connection, 1, queue, 0, 1, 0, 0, amqp_empty_table);
    expect_success(connection, "the same queue.declare again");
    expect_number(1, declared->consumer_count, "consumers");

    amqp_bytes_t exchange = amqp_cstring_bytes(unique("declare"));
    for (int n = 0; n < 2; n++) {
        amqp_exchange_declare(connection, 1, exchange, amqp_cstring_bytes("topic"), 0, 1, 0, 0, amqp_empty_table);
        expect_success(connection, "exchange.declare");
    }
    bind_queue(connection, queue, exchange, "a.#", amqp_empty_table);
    amqp_queue_unbind(connection, 1, queue, exchange, amqp_cstring_bytes("a.#"), amqp_empty_table);
    expect_success(connection, "queue.unbind");
    amqp_exchange_delete(connection, 1, exchange, 1);
    expect_success(connection, "exchange.delete if-unused");
    amqp_queue_delete(connection, 1, queue, 0, 0);
    expect_success(connection, "queue.delete");

    queue = temporary_queue(connection, 1);
    select_confirms(connection);
    for (int n = 1; n <= 5; n++) {
        publish(connection, amqp_empty_bytes, text_of(queue), "x");
    }
    wait_for_confirms(connection, 5);
    amqp_queue_purge_ok_t *purged = amqp_queue_purge(connection, 1, queue);
    expect_success(connection, "queue.purge");
    expect_number(5, purged->message_count, "purge count");
    publish(connection, amqp_empty_bytes, text_of(queue), "x");
    wait_for_confirms(connection, 6);
    amqp_queue_delete_ok_t *deleted = amqp_queue_delete(connection, 1, queue, 0, 0);
    expect_success(connection, "queue.delete");
    expect_number(1, deleted->message_count, "delete count");
    disconnect(connection);
}

static void ten_thousand_are_confirmed(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_queue_declare(connection, 1, many_queue(), 0, 1, 0, 0, amqp_empty_table);
    expect_success(connection, "queue.declare");
    select_confirms(connection);
    for (int n = 0; n < MESSAGES; n++) {
        char body[64], id[16];
        snprintf(body, sizeof body, "message %d", n);
        snprintf(id, sizeof id, "m%d", n);
        amqp_basic_properties_t properties = {
            ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
            .content_type = amqp_cstring_bytes("text/plain"),
            .delivery_mode = AMQP_DELIVERY_PERSISTENT,
            .message_id = amqp_cstring_bytes(id),
        };
        expect_number(AMQP_STATUS_OK,
                      amqp_basic_publish(connection, 1, amqp_empty_bytes, many_queue(), 0, 0, &properties,
                                         amqp_cstring_bytes(body)),
                      "basic.publish");
        if (n % 500 == 499) {
            wait_for_confirms(connection, (unsigned long long)n + 1);
        }
    }
    expect_number(MESSAGES, waiting(connection, 1, many_queue()), "messages in the queue");
    disconnect(connection);
}

// Takes the messages of the check before it.
static void ten_thousand_are_consumed(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_basic_qos(connection, 1, 0, 50, 0);
    expect_success(connection, "basic.qos");
    consume(connection, many_queue());
    for (int n = 0; n < MESSAGES; n++) {
        char body[64], id[16];
        snprintf(body, sizeof body, "message %d", n);
        snprintf(id, sizeof id, "m%d", n);
        amqp_envelope_t envelope = next_delivery(connection);
        amqp_basic_properties_t *properties = &envelope.message.properties;
        char *came = strndup(envelope.message.body.bytes, envelope.message.body.len);
        expect_text(body, came, "body");
        free(came);
        came = strndup(properties->message_id.bytes, properties->message_id.len);
        expect_text(id, came, "message id");
        free(came);
        expect_number(AMQP_DELIVERY_PERSISTENT, properties->delivery_mode, "delivery mode");
        expect_number(n + 1, (long long)envelope.delivery_tag, "delivery tag");
        expect(!envelope.redelivered, "a first delivery is marked redelivered");
        expect_number(0, amqp_basic_ack(connection, 1, envelope.delivery_tag, 0), "basic.ack");
        amqp_destroy_envelope(&envelope);
    }
    amqp_channel_close(connection, 1, AMQP_REPLY_SUCCESS);
    open_channel(connection, 1);
    expect_number(0, waiting(connection, 1, many_queue()), "messages left");
    amqp_queue_delete(connection, 1, many_queue(), 0, 0);
    expect_success(connection, "queue.delete");
    disconnect(connection);
}

static void unroutable_mandatory_message_returns(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t exchange = amqp_cstring_bytes("amq.direct");
    const char *nowhere = unique("nowhere");
    select_confirms(connection);
    publish(connection, exchange, nowhere, "dropped");
    wait_for_confirms(connection, 1);

    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_APP_ID_FLAG, .app_id = amqp_cstring_bytes("shop")};
    amqp_basic_publish(connection, 1, exchange, amqp_cstring_bytes(nowhere), 1, 0, &properties,
                       amqp_cstring_bytes("lost"));
    // The return comes before its confirm.
    amqp_basic_return_t returned = *(amqp_basic_return_t *)wait_for_method(connection, 1, AMQP_BASIC_RETURN_METHOD);
    expect_number(312, returned.reply_code, "reply code");
    expect_text("NO_ROUTE", text_of(returned.reply_text), "reply text");
    expect_text("amq.direct", text_of(returned.exchange), "exchange");
    expect_text(nowhere, text_of(returned.routing_key), "routing key");
    amqp_message_t message;
    expect(amqp_read_message(connection, 1, &message, 0).reply_type == AMQP_RESPONSE_NORMAL, "reading the message");
    expect_text("lost", text_of(message.body), "body");
    expect_text("shop", text_of(message.properties.app_id), "app id");
    amqp_destroy_message(&message);
    wait_for_confirms(connection, 2);
    disconnect(connection);
}

static void transactions(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    open_channel(connection, 2);
    amqp_bytes_t queue = temporary_queue(connection, 2);
    const char *key = text_of(queue);
    amqp_tx_select(connection, 1);
    expect_success(connection, "tx.select");
    publish(connection, amqp_empty_bytes, key, "rolled back");
    amqp_tx_rollback(connection, 1);
    expect_success(connection, "tx.rollback");
    publish(connection, amqp_empty_bytes, key, "committed 1");
    publish(connection, amqp_empty_bytes, key, "committed 2");
    expect_number(0, waiting(connection, 2, queue), "messages before the commit");
    amqp_tx_commit(connection, 1);
    expect_success(connection, "tx.commit");
    expect_number(2, waiting(connection, 2, queue), "messages after the commit");

    // An ack in a transaction that is rolled back did not happen.
    amqp_basic_get_ok_t answer;
    amqp_message_t message;
    expect(get(connection, queue, false, &answer, &message), "the queue is empty");
    amqp_destroy_message(&message);
    amqp_basic_ack(connection, 1, answer.delivery_tag, 0);
    amqp_tx_rollback(connection, 1);
    expect_success(connection, "tx.rollback");
    amqp_basic_recover(connection, 1, 1);
    expect_success(connection, "basic.recover");
    expect(get(connection, queue, false, &answer, &message), "the queue is empty after recover");
    expect_text("committed 1", text_of(message.body), "body after the rolled back ack");
    expect(answer.redelivered, "not marked redelivered");
    amqp_destroy_message(&message);
    amqp_basic_ack(connection, 1, answer.delivery_tag, 0);
    amqp_tx_commit(connection, 1);
    expect_success(connection, "tx.commit");
    expect_text("committed 2", drain(connection, queue), "left after the committed ack");
    disconnect(connection);
}

static bool is_same_value(const amqp_field_value_t *one, const amqp_field_value_t *other)
{
    switch (one->kind) {
    case AMQP_FIELD_KIND_BOOLEAN: return one->value.boolean == other->value.boolean;
    case AMQP_FIELD_KIND_I8: return one->value.i8 == other->value.i8;
    case AMQP_FIELD_KIND_U8: return one->value.u8 == other->value.u8;
    case AMQP_FIELD_KIND_I16: return one->value.i16 == other->value.i16;
    case AMQP_FIELD_KIND_U16: return one->value.u16 == other->value.u16;
    case AMQP_FIELD_KIND_I32: return one->value.i32 == other->value.i32;
    case AMQP_FIELD_KIND_U32: return one->value.u32 == other->value.u32;
    case AMQP_FIELD_KIND_I64: return one->value.i64 == other->value.i64;
    case AMQP_FIELD_KIND_TIMESTAMP: return one->value.u64 == other->value.u64;
    case AMQP_FIELD_KIND_F32: return one->value.f32 == other->value.f32;
    case AMQP_FIELD_KIND_F64: return one->value.f64 == other->value.f64;
    case AMQP_FIELD_KIND_VOID: return true;
    default:
        return one->value.bytes.len == other->value.bytes.len
               && memcmp(one->value.bytes.bytes, other->value.bytes.bytes, one->value.bytes.len) == 0;
    }
}

/// A header of each kind that the library can write.
static void headers_of_all_kinds(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t queue = temporary_queue(connection, 1);
    amqp_table_entry_t sent[] = {
        {amqp_cstring_bytes("bool"), {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
        {amqp_cstring_bytes("i8"), {.kind = AMQP_FIELD_KIND_I8, .value.i8 = -8}},
        {amqp_cstring_bytes("u8"), {.kind = AMQP_FIELD_KIND_U8, .value.u8 = 200}},
        {amqp_cstring_bytes("i16"), {.kind = AMQP_FIELD_KIND_I16, .value.i16 = -1600}},
        {amqp_cstring_bytes("u16"), {.kind = AMQP_FIELD_KIND_U16, .value.u16 = 60000}},
        {amqp_cstring_bytes("i32"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -320000}},
        {amqp_cstring_bytes("u32"), {.kind = AMQP_FIELD_KIND_U32, .value.u32 = 4000000000U}},
        {amqp_cstring_bytes("i64"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = -64000000000LL}},
        {amqp_cstring_bytes("f32"), {.kind = AMQP_FIELD_KIND_F32, .value.f32 = 0.25F}},
        {amqp_cstring_bytes("f64"), {.kind = AMQP_FIELD_KIND_F64, .value.f64 = 0.125}},
        {amqp_cstring_bytes("time"), {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = 1700000000}},
        {amqp_cstring_bytes("void"), {.kind = AMQP_FIELD_KIND_VOID}},
        {amqp_cstring_bytes("bytes"), {.kind = AMQP_FIELD_KIND_BYTES, .value.bytes = {3, "\0\1\2"}}},
    };
    const int count = sizeof sent / sizeof sent[0];
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {count, sent}};
    amqp_basic_publish(connection, 1, amqp_empty_bytes, queue, 0, 0, &properties, amqp_cstring_bytes("x"));
    amqp_basic_get_ok_t answer;
    amqp_message_t message;
    expect(get(connection, queue, true, &answer, &message), "the queue is empty");
    expect_number(count, message.properties.headers.num_entries, "headers");
    for (int n = 0; n < count; n++) {
        const amqp_field_value_t *back = table_value(&message.properties.headers, text_of(sent[n].key));
        expect_number(sent[n].value.kind, back->kind, text_of(sent[n].key));
        expect(is_same_value(&sent[n].value, back), text_of(sent[n].key));
    }
    amqp_destroy_message(&message);
    disconnect(connection);
}

static void bodies_of_all_sizes(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t queue = temporary_queue(connection, 1);
    // None, one, just under, at and over a frame, and many frames.
    const size_t sizes[] = {0, 1, 131063, 131064, 131065, 3000000};
    for (unsigned n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        amqp_bytes_t body = amqp_bytes_malloc(sizes[n]);
        for (size_t at = 0; at < sizes[n]; at++) {
            ((unsigned char *)body.bytes)[at] = (unsigned char)(at * 31 + at / 251);
        }
        amqp_basic_publish(connection, 1, amqp_empty_bytes, queue, 0, 0, NULL, body);
        amqp_basic_get_ok_t answer;
        amqp_message_t message;
        expect(get(connection, queue, true, &answer, &message), "the queue is empty");
        expect_number((long long)sizes[n], (long long)message.body.len, "octets of the body");
        expect(memcmp(message.body.bytes, body.bytes, sizes[n]) == 0, "the body came back different");
        amqp_destroy_message(&message);
        amqp_bytes_free(body);
    }
    disconnect(connection);
}

const struct check publishing_checks[] = {
    {"declare", declarations},
    {"confirm-publish-10000", ten_thousand_are_confirmed},
    {"consume-prefetch-ack", ten_thousand_are_consumed},
    {"mandatory-return", unroutable_mandatory_message_returns},
    {"tx", transactions},
    {"header-kinds", headers_of_all_kinds},
    {"body-sizes", bodies_of_all_sizes},
    {0},
};
