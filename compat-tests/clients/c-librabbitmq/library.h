// librabbitmq, unmodified, and the few steps that many checks begin with. Each function ends the
// running check when the broker does not answer as it should.

#ifndef LIBRARY_H
#define LIBRARY_H

#include <amqp.h>
#include <stdbool.h>
#include <stddef.h>

/// Seconds after which any answer of the broker counts as missing.
enum { PATIENCE = 30 };

enum { HEARTBEAT_NONE = 0 };

/// Opens a connection and channel 1.
amqp_connection_state_t connect_to_broker(int heartbeat);

/// The same, with client properties of the check's own besides the library's.
amqp_connection_state_t connect_with_properties(int heartbeat, const amqp_table_t *properties);

/// A connection whose login was not tried yet.
amqp_connection_state_t connect_socket(void);

void open_channel(amqp_connection_state_t connection, amqp_channel_t channel);

/// Closes and frees the connection; everything must be answered.
void disconnect(amqp_connection_state_t connection);

/// Ends the check unless the last call on the connection succeeded.
void expect_success(amqp_connection_state_t connection, const char *what);

/// Ends the check unless the last call was answered by channel.close with this code and text;
/// answers it, so that the channel number may be used again.
void expect_channel_close(amqp_connection_state_t connection, amqp_channel_t channel, int code, const char *text);

/// The text of some bytes; it lives until the program ends.
const char *text_of(amqp_bytes_t bytes);

/// The entry of that name, which must be there.
const amqp_field_value_t *table_value(const amqp_table_t *table, const char *key);

/// A server-named exclusive auto-delete queue; the name lives until the program ends.
amqp_bytes_t temporary_queue(amqp_connection_state_t connection, amqp_channel_t channel);

/// An auto-delete exchange of the check's own.
amqp_bytes_t temporary_exchange(amqp_connection_state_t connection, const char *suffix, const char *type,
                                amqp_table_t arguments);

void bind_queue(amqp_connection_state_t connection, amqp_bytes_t queue, amqp_bytes_t exchange, const char *key,
                amqp_table_t arguments);

/// Publishes on channel 1, body as text.
void publish(amqp_connection_state_t connection, amqp_bytes_t exchange, const char *key, const char *body);

/// Starts a consumer with manual acks on channel 1.
void consume(amqp_connection_state_t connection, amqp_bytes_t queue);

/// The next delivery; the caller destroys the envelope.
amqp_envelope_t next_delivery(amqp_connection_state_t connection);

/// Reads until `method` comes on `channel`; its decoded arguments live until the buffers are released.
void *wait_for_method(amqp_connection_state_t connection, amqp_channel_t channel, amqp_method_number_t method);

/// Takes every message out of the queue; the bodies in the order they came, with commas between.
const char *drain(amqp_connection_state_t connection, amqp_bytes_t queue);

/// One basic.get on channel 1. False when the queue is empty; else the caller destroys the message.
bool get(amqp_connection_state_t connection, amqp_bytes_t queue, bool no_ack, amqp_basic_get_ok_t *answer,
         amqp_message_t *message);

/// Messages waiting in a queue, as a passive declare tells.
int waiting(amqp_connection_state_t connection, amqp_channel_t channel, amqp_bytes_t queue);

/// Switches channel 1 to confirms and counts from 1; one connection at a time.
void select_confirms(amqp_connection_state_t connection);

/// Waits until the broker has acknowledged every publish up to number `last` (from 1).
void wait_for_confirms(amqp_connection_state_t connection, unsigned long long last);

#endif
