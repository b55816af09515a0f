// Command checks drives a broker through amqp091-go as a Go service would and prints a line per
// check; the contract is in compat-tests/README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// deadline bounds everything a check waits for.
const deadline = 30 * time.Second

// broker holds what the checks share: the address, one connection, and a prefix for names, so
// that runs at the same time do not meet.
type broker struct {
	url       string
	vhost     string
	prefix    string
	conn      *amqp.Connection
	exchanges int
}

type check struct {
	name string
	run  func(*broker) error
}

var checks = []check{
	{"connect", connect},
	{"login-refused", loginRefused},
	{"declare", declare},
	{"confirm-publish-10000", confirmPublish},
	{"consume-prefetch-ack", consumePrefetchAck},
	{"prefetch-limit", prefetchLimit},
	{"exchange-types", exchangeTypes},
	{"channel-error", channelError},
	{"mandatory-return", mandatoryReturn},
	{"rpc-reply-queue", rpcReplyQueue},
	{"requeue-redelivered", requeueRedelivered},
	{"get", get},
	{"tx", tx},
	{"properties-round-trip", propertiesRoundTrip},
	{"large-body", largeBody},
	{"exclusive-lock", exclusiveLock},
	{"consumer-cancel-notify", consumerCancelNotify},
	{"heartbeat-idle", heartbeatIdle},
	{"close", closeCleanly},
}

func main() {
	b := &broker{
		url:    environment("LEVERET_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"),
		vhost:  environment("LEVERET_VHOST", "/"),
		prefix: fmt.Sprintf("compat-go-%d-", time.Now().UnixNano()),
	}
	failed := false
	for _, c := range checks {
		if err := c.run(b); err != nil {
			failed = true
			fmt.Printf("not ok %s: %v\n", c.name, err)
		} else {
			fmt.Printf("ok %s\n", c.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// withChannel runs body on a channel of its own on the shared connection.
func (b *broker) withChannel(body func(*amqp.Channel) error) error {
	if b.conn == nil || b.conn.IsClosed() {
		conn, err := amqp.Dial(b.url)
		if err != nil {
			return err
		}
		b.conn = conn
	}
	ch, err := b.conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	return body(ch)
}

// queue declares a server-named exclusive queue.
func queue(ch *amqp.Channel) (string, error) {
	q, err := ch.QueueDeclare("", false, false, true, false, nil)
	return q.Name, err
}

func publish(ch *amqp.Channel, exchange, key, body string) error {
	return publishing(ch, exchange, key, amqp.Publishing{Body: []byte(body)})
}

func publishing(ch *amqp.Channel, exchange, key string, message amqp.Publishing) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return ch.PublishWithContext(ctx, exchange, key, false, false, message)
}

// next waits for one value of a channel that the library feeds.
func next[T any](from <-chan T, what string) (T, error) {
	select {
	case value, open := <-from:
		if !open {
			return value, fmt.Errorf("%s: the library closed its channel", what)
		}
		return value, nil
	case <-time.After(deadline):
		var none T
		return none, fmt.Errorf("%s: nothing after %s", what, deadline)
	}
}

// expectError wants an error from the broker with this code and text.
func expectError(err error, code int, reason string) error {
	refused, ok := err.(*amqp.Error)
	if !ok {
		return fmt.Errorf("want %d %q, got %v", code, reason, err)
	}
	if refused.Code != code || refused.Reason != reason {
		return fmt.Errorf("want %d %q, got %d %q", code, reason, refused.Code, refused.Reason)
	}
	return nil
}
