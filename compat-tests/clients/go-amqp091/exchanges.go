package main

import (
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// exchangeTypes publishes through each kind of exchange into fresh queues and compares what
// each queue holds.
func exchangeTypes(b *broker) error {
	for _, part := range []struct {
		name string
		run  func(*broker, *amqp.Channel) error
	}{
		{"default", defaultExchange},
		{"direct", directExchange},
		{"fanout", fanoutExchange},
		{"topic", topicExchange},
		{"headers", headersExchange},
		{"alternate-exchange", alternateExchange},
		{"exchange-to-exchange", exchangeToExchange},
	} {
		err := b.withChannel(func(ch *amqp.Channel) error { return part.run(b, ch) })
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// exchange declares an exchange that goes with its last binding, as the connection's end takes
// the exclusive queues. The channel's end does not, so every exchange has its own name.
func exchange(b *broker, ch *amqp.Channel, kind string, arguments amqp.Table) (string, error) {
	b.exchanges++
	name := fmt.Sprintf("%s%s-%d", b.prefix, kind, b.exchanges)
	return name, ch.ExchangeDeclare(name, kind, true, true, false, false, arguments)
}

// bound declares a queue with one binding.
func bound(ch *amqp.Channel, exchange, key string, arguments amqp.Table) (string, error) {
	name, err := queue(ch)
	if err != nil {
		return "", err
	}
	return name, ch.QueueBind(name, key, exchange, false, arguments)
}

// expectBodies empties the queue.
func expectBodies(ch *amqp.Channel, from, want string) error {
	var bodies []string
	for {
		message, ok, err := ch.Get(from, true)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		bodies = append(bodies, string(message.Body))
	}
	if got := strings.Join(bodies, " "); got != want {
		return fmt.Errorf("want %q, got %q", want, got)
	}
	return nil
}

func defaultExchange(_ *broker, ch *amqp.Channel) error {
	name, err := queue(ch)
	if err != nil {
		return err
	}
	if err := publish(ch, "", name, "one"); err != nil {
		return err
	}
	return expectBodies(ch, name, "one")
}

func directExchange(b *broker, ch *amqp.Channel) error {
	name, err := exchange(b, ch, amqp.ExchangeDirect, nil)
	if err != nil {
		return err
	}
	red, err := bound(ch, name, "red", nil)
	if err != nil {
		return err
	}
	both, err := bound(ch, name, "red", nil)
	if err != nil {
		return err
	}
	if err := ch.QueueBind(both, "blue", name, false, nil); err != nil {
		return err
	}
	for _, key := range []string{"red", "blue", "green"} {
		if err := publish(ch, name, key, key); err != nil {
			return err
		}
	}
	if err := expectBodies(ch, red, "red"); err != nil {
		return err
	}
	if err := expectBodies(ch, both, "red blue"); err != nil {
		return err
	}
	if err := ch.QueueUnbind(both, "blue", name, nil); err != nil {
		return err
	}
	if err := publish(ch, name, "blue", "unbound"); err != nil {
		return err
	}
	return expectBodies(ch, both, "")
}

func fanoutExchange(b *broker, ch *amqp.Channel) error {
	name, err := exchange(b, ch, amqp.ExchangeFanout, nil)
	if err != nil {
		return err
	}
	first, err := bound(ch, name, "", nil)
	if err != nil {
		return err
	}
	second, err := bound(ch, name, "ignored", nil)
	if err != nil {
		return err
	}
	if err := publish(ch, name, "anything", "all"); err != nil {
		return err
	}
	if err := expectBodies(ch, first, "all"); err != nil {
		return err
	}
	return expectBodies(ch, second, "all")
}

func topicExchange(b *broker, ch *amqp.Channel) error {
	name, err := exchange(b, ch, amqp.ExchangeTopic, nil)
	if err != nil {
		return err
	}
	keys := []string{"stock", "stock.usd", "stock.usd.nyse", "stock.eur.nyse", "bond.usd.nyse", ""}
	want := map[string]string{
		"stock.*":     "stock.usd",
		"stock.#":     "stock stock.usd stock.usd.nyse stock.eur.nyse",
		"*.usd.*":     "stock.usd.nyse bond.usd.nyse",
		"#.nyse":      "stock.usd.nyse stock.eur.nyse bond.usd.nyse",
		"stock.#.usd": "stock.usd",
		"#":           "stock stock.usd stock.usd.nyse stock.eur.nyse bond.usd.nyse (empty)",
		"*":           "stock", // an empty key has no words
	}
	queues := map[string]string{}
	for pattern := range want {
		if queues[pattern], err = bound(ch, name, pattern, nil); err != nil {
			return err
		}
	}
	for _, key := range keys {
		body := key
		if key == "" {
			body = "(empty)"
		}
		if err := publish(ch, name, key, body); err != nil {
			return err
		}
	}
	for pattern, bodies := range want {
		if err := expectBodies(ch, queues[pattern], bodies); err != nil {
			return fmt.Errorf("%s: %w", pattern, err)
		}
	}
	return nil
}

func headersExchange(b *broker, ch *amqp.Channel) error {
	name, err := exchange(b, ch, amqp.ExchangeHeaders, nil)
	if err != nil {
		return err
	}
	all, err := bound(ch, name, "", amqp.Table{"x-match": "all", "kind": "pdf", "pages": int32(2)})
	if err != nil {
		return err
	}
	some, err := bound(ch, name, "", amqp.Table{"x-match": "any", "kind": "pdf", "pages": int32(2)})
	if err != nil {
		return err
	}
	for _, message := range []struct {
		body    string
		headers amqp.Table
	}{
		{"both", amqp.Table{"kind": "pdf", "pages": int32(2), "more": true}},
		{"kind", amqp.Table{"kind": "pdf", "pages": int32(3)}},
		{"neither", amqp.Table{"kind": "txt"}},
		{"none", nil},
	} {
		sent := amqp.Publishing{Headers: message.headers, Body: []byte(message.body)}
		if err := publishing(ch, name, "ignored", sent); err != nil {
			return err
		}
	}
	if err := expectBodies(ch, all, "both"); err != nil {
		return fmt.Errorf("all: %w", err)
	}
	if err := expectBodies(ch, some, "both kind"); err != nil {
		return fmt.Errorf("any: %w", err)
	}
	return nil
}

func alternateExchange(b *broker, ch *amqp.Channel) error {
	fallback := b.prefix + "fallback"
	if err := ch.ExchangeDeclare(fallback, "fanout", false, true, false, false, nil); err != nil {
		return err
	}
	name, err := exchange(b, ch, amqp.ExchangeDirect, amqp.Table{"alternate-exchange": fallback})
	if err != nil {
		return err
	}
	known, err := bound(ch, name, "known", nil)
	if err != nil {
		return err
	}
	rest, err := bound(ch, fallback, "", nil)
	if err != nil {
		return err
	}
	for _, key := range []string{"known", "unknown"} {
		if err := publish(ch, name, key, key); err != nil {
			return err
		}
	}
	if err := expectBodies(ch, known, "known"); err != nil {
		return err
	}
	return expectBodies(ch, rest, "unknown")
}

func exchangeToExchange(b *broker, ch *amqp.Channel) error {
	source, err := exchange(b, ch, amqp.ExchangeTopic, nil)
	if err != nil {
		return err
	}
	destination, err := exchange(b, ch, amqp.ExchangeFanout, nil)
	if err != nil {
		return err
	}
	if err := ch.ExchangeBind(destination, "orders.#", source, false, nil); err != nil {
		return err
	}
	name, err := bound(ch, destination, "", nil)
	if err != nil {
		return err
	}
	// A queue reached on two ways gets one copy.
	if err := ch.QueueBind(name, "orders.new", source, false, nil); err != nil {
		return err
	}
	for _, key := range []string{"orders.new", "orders.old", "users.new"} {
		if err := publish(ch, source, key, key); err != nil {
			return err
		}
	}
	if err := expectBodies(ch, name, "orders.new orders.old"); err != nil {
		return err
	}
	if err := ch.ExchangeUnbind(destination, "orders.#", source, false, nil); err != nil {
		return err
	}
	if err := publish(ch, source, "orders.old", "unbound"); err != nil {
		return err
	}
	return expectBodies(ch, name, "")
}
