// Checks of the exchange types and of the ways exchanges lead to each other.

#include "checks.h"
#include "library.h"

#include <amqp_framing.h>
#include <stdio.h>
#include <string.h>

/// Publishes a message for each key, up to a NULL; the key is the body as well.
static void publish_keys(amqp_connection_state_t connection, amqp_bytes_t exchange, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        publish(connection, exchange, *keys, *keys);
    }
}

static amqp_table_entry_t text_entry(const char *key, const char *value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key),
                                {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

static amqp_table_entry_t number_entry(const char *key, int value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = value}};
}

static void check_headers(amqp_connection_state_t connection, amqp_bytes_t one, amqp_bytes_t two)
{
    amqp_bytes_t headers = temporary_exchange(connection, "headers", "headers", amqp_empty_table);
    amqp_table_entry_t all[] = {text_entry("x-match", "all"), text_entry("format", "pdf"), number_entry("pages", 3)};
    amqp_table_entry_t any[] = {text_entry("x-match", "any"), text_entry("format", "pdf"), number_entry("pages", 3)};
    bind_queue(connection, one, headers, "", (amqp_table_t){3, all});
    bind_queue(connection, two, headers, "", (amqp_table_t){3, any});
    struct {
        const char *body;
        int count;
        amqp_table_entry_t entries[3];
    } messages[] = {
        {"both", 3, {text_entry("format", "pdf"), number_entry("pages", 3), text_entry("more", "x")}},
        {"first", 1, {text_entry("format", "pdf")}},
        {"wrong", 2, {text_entry("format", "zip"), number_entry("pages", 4)}},
        {"second", 2, {text_entry("format", "zip"), number_entry("pages", 3)}},
        {"none", 0, {text_entry("unused", "")}},
    };
    for (unsigned n = 0; n < sizeof messages / sizeof messages[0]; n++) {
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                              .headers = {messages[n].count, messages[n].entries}};
        amqp_basic_publish(connection, 1, headers, amqp_empty_bytes, 0, 0, &properties,
                           amqp_cstring_bytes(messages[n].body));
    }
    expect_text("both", drain(connection, one), "headers, all");
    expect_text("both,first,second", drain(connection, two), "headers, any");
}

static void exchange_types(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t one = temporary_queue(connection, 1);
    amqp_bytes_t two = temporary_queue(connection, 1);

    amqp_bytes_t direct = temporary_exchange(connection, "direct", "direct", amqp_empty_table);
    bind_queue(connection, one, direct, "red", amqp_empty_table);
    bind_queue(connection, two, direct, "red", amqp_empty_table);
    bind_queue(connection, two, direct, "blue", amqp_empty_table);
    publish_keys(connection, direct, (const char *const[]){"red", "blue", "green", "re", NULL});
    expect_text("red", drain(connection, one), "direct, one");
    expect_text("red,blue", drain(connection, two), "direct, two");

    amqp_bytes_t fanout = temporary_exchange(connection, "fanout", "fanout", amqp_empty_table);
    bind_queue(connection, one, fanout, "", amqp_empty_table);
    bind_queue(connection, two, fanout, "ignored", amqp_empty_table);
    bind_queue(connection, two, fanout, "ignored as well", amqp_empty_table);
    publish_keys(connection, fanout, (const char *const[]){"any", "other", NULL});
    expect_text("any,other", drain(connection, one), "fanout, one");
    expect_text("any,other", drain(connection, two), "fanout, two");

    amqp_bytes_t topic = temporary_exchange(connection, "topic", "topic", amqp_empty_table);
    bind_queue(connection, one, topic, "*.orange.*", amqp_empty_table);
    bind_queue(connection, two, topic, "*.*.rabbit", amqp_empty_table);
    bind_queue(connection, two, topic, "lazy.#", amqp_empty_table);
    publish_keys(connection, topic,
                 (const char *const[]){"quick.orange.rabbit", "lazy.orange.elephant", "quick.orange.fox",
                                       "lazy.pink.rabbit", "quick.brown.fox", "lazy", "lazy.a.b.c.d", "orange",
                                       "quick.orange.male.rabbit", "", NULL});
    expect_text("quick.orange.rabbit,lazy.orange.elephant,quick.orange.fox", drain(connection, one), "topic, one");
    expect_text("quick.orange.rabbit,lazy.orange.elephant,lazy.pink.rabbit,lazy,lazy.a.b.c.d",
                drain(connection, two), "topic, two");

    check_headers(connection, one, two);

    publish(connection, amqp_empty_bytes, text_of(one), "by name");
    expect_text("by name", drain(connection, one), "default exchange");
    expect_text("", drain(connection, two), "default exchange, the other queue");
    disconnect(connection);
}

static void alternate_exchange(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t routed = temporary_queue(connection, 1);
    amqp_bytes_t rest = temporary_queue(connection, 1);
    amqp_bytes_t alternate = temporary_exchange(connection, "alternate", "fanout", amqp_empty_table);
    amqp_table_entry_t argument = text_entry("alternate-exchange", text_of(alternate));
    amqp_bytes_t main = temporary_exchange(connection, "main", "direct", (amqp_table_t){1, &argument});
    bind_queue(connection, routed, main, "known", amqp_empty_table);
    bind_queue(connection, rest, alternate, "", amqp_empty_table);
    publish_keys(connection, main, (const char *const[]){"known", "unknown", NULL});
    expect_text("known", drain(connection, routed), "routed");
    expect_text("unknown", drain(connection, rest), "through the alternate exchange");
    disconnect(connection);
}

static void exchange_to_exchange(void)
{
    amqp_connection_state_t connection = connect_to_broker(HEARTBEAT_NONE);
    amqp_bytes_t queue = temporary_queue(connection, 1);
    amqp_bytes_t source = temporary_exchange(connection, "source", "topic", amqp_empty_table);
    amqp_bytes_t destination = temporary_exchange(connection, "destination", "fanout", amqp_empty_table);
    bind_queue(connection, queue, destination, "", amqp_empty_table);
    // Two ways to the same queue are one copy.
    bind_queue(connection, queue, source, "stock.nyse", amqp_empty_table);
    amqp_exchange_bind(connection, 1, destination, source, amqp_cstring_bytes("stock.#"), amqp_empty_table);
    expect_success(connection, "exchange.bind");
    publish_keys(connection, source, (const char *const[]){"stock.usd", "bond.usd", "stock.nyse", NULL});
    expect_text("stock.usd,stock.nyse", drain(connection, queue), "bound");
    amqp_exchange_unbind(connection, 1, destination, source, amqp_cstring_bytes("stock.#"), amqp_empty_table);
    expect_success(connection, "exchange.unbind");
    publish_keys(connection, source, (const char *const[]){"stock.usd", NULL});
    expect_text("", drain(connection, queue), "unbound");
    disconnect(connection);
}

const struct check routing_checks[] = {
    {"exchange-types", exchange_types},
    {"alternate-exchange", alternate_exchange},
    {"exchange-to-exchange", exchange_to_exchange},
    {0},
};
