package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const manyMessages = 10000

func body(i int) string {
	return fmt.Sprintf("message %d of %d", i, manyMessages)
}

func expectGet(ch *amqp.Channel, from, want string, left uint32) error {
	message, ok, err := ch.Get(from, true)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("get %q: the queue is empty", want)
	case string(message.Body) != want:
		return fmt.Errorf("get: want %q, got %q", want, message.Body)
	case message.MessageCount != left:
		return fmt.Errorf("get %q: %d messages left, want %d", want, message.MessageCount, left)
	}
	return nil
}

// awaitReady waits until so many are ready: RabbitMQ lets a passive declare overtake publishes.
func awaitReady(ch *amqp.Channel, name string, wanted int) error {
	for end := time.Now().Add(deadline); ; {
		q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
		if err != nil {
			return err
		}
		if q.Messages == wanted {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d messages ready, want %d", q.Messages, wanted)
		}
	}
}

func declare(b *broker) error {
	name := b.prefix + "declare"
	err := b.withChannel(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclare(name, true, false, false, false, nil)
		if err != nil {
			return err
		}
		if q.Name != name || q.Messages != 0 || q.Consumers != 0 {
			return fmt.Errorf("declare-ok: %+v", q)
		}
		for i := 0; i < 3; i++ {
			if err := publish(ch, "", name, body(i)); err != nil {
				return err
			}
		}
		if _, err := ch.Consume(name, "tag", false, false, false, false, nil); err != nil {
			return err
		}
		if err := ch.Cancel("tag", false); err != nil {
			return err
		}
		server, err := ch.QueueDeclare("", false, true, true, false, nil)
		if err != nil {
			return err
		}
		if len(server.Name) < 8 || server.Name[:7] != "amq.gen" {
			return fmt.Errorf("server-named queue is called %q", server.Name)
		}
		_, err = ch.QueueDeclare(name, false, false, false, false, nil)
		return expectError(err, amqp.PreconditionFailed, fmt.Sprintf(
			"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '%s' in vhost '%s': "+
				"received 'false' but current is 'true'", name, b.vhost))
	})
	if err != nil {
		return err
	}
	return b.withChannel(func(ch *amqp.Channel) error {
		// The three were delivered to a consumer whose channel closed: they are ready again.
		if err := awaitReady(ch, name, 3); err != nil {
			return err
		}
		if purged, err := ch.QueuePurge(name, false); err != nil || purged != 3 {
			return fmt.Errorf("purge: %d messages, %v", purged, err)
		}
		if deleted, err := ch.QueueDelete(name, true, true, false); err != nil || deleted != 0 {
			return fmt.Errorf("delete: %d messages, %v", deleted, err)
		}
		return nil
	})
}

func confirmPublish(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name := b.prefix + "many"
		if _, err := ch.QueueDeclare(name, true, false, false, false, nil); err != nil {
			return err
		}
		if err := ch.Confirm(false); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
		defer cancel()
		confirmations := make([]*amqp.DeferredConfirmation, 0, manyMessages)
		for i := 0; i < manyMessages; i++ {
			confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", name, true, false,
				amqp.Publishing{
					DeliveryMode: amqp.Persistent,
					ContentType:  "text/plain",
					MessageId:    strconv.Itoa(i),
					Body:         []byte(body(i)),
				})
			if err != nil {
				return err
			}
			confirmations = append(confirmations, confirmation)
		}
		for i, confirmation := range confirmations {
			acked, err := confirmation.WaitContext(ctx)
			if err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
			if !acked || confirmation.DeliveryTag != uint64(i+1) {
				return fmt.Errorf("message %d: acked %t, tag %d", i, acked, confirmation.DeliveryTag)
			}
		}
		q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		if err == nil && q.Messages != manyMessages {
			err = fmt.Errorf("%d messages in the queue", q.Messages)
		}
		return err
	})
}

func consumePrefetchAck(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name := b.prefix + "many"
		defer ch.QueueDelete(name, false, false, false)
		if err := ch.Qos(100, 0, false); err != nil {
			return err
		}
		deliveries, err := ch.Consume(name, "", false, false, false, false, nil)
		if err != nil {
			return err
		}
		for i := 0; i < manyMessages; i++ {
			message, err := next(deliveries, fmt.Sprintf("message %d", i))
			if err != nil {
				return err
			}
			if string(message.Body) != body(i) || message.MessageId != strconv.Itoa(i) ||
				message.DeliveryMode != amqp.Persistent || message.ContentType != "text/plain" ||
				message.Redelivered || message.RoutingKey != name || message.Exchange != "" {
				return fmt.Errorf("message %d: %q, %+v", i, message.Body, message)
			}
			// Most one by one, some together, as batch workers do.
			if i%10 == 9 {
				err = message.Ack(true)
			} else if i%10 < 5 {
				err = message.Ack(false)
			}
			if err != nil {
				return err
			}
		}
		q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		if err == nil && (q.Messages != 0 || q.Consumers != 1) {
			err = fmt.Errorf("afterwards: %+v", q)
		}
		return err
	})
}

func prefetchLimit(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		if err := ch.Qos(3, 0, false); err != nil {
			return err
		}
		deliveries, err := ch.Consume(name, "", false, false, false, false, nil)
		if err != nil {
			return err
		}
		for i := 0; i < 10; i++ {
			if err := publish(ch, "", name, body(i)); err != nil {
				return err
			}
		}
		var last amqp.Delivery
		for i := 0; i < 3; i++ {
			if last, err = next(deliveries, "delivery within the prefetch"); err != nil {
				return err
			}
		}
		if err := awaitReady(ch, name, 7); err != nil {
			return err
		}
		if len(deliveries) != 0 {
			return fmt.Errorf("prefetch 3 of 10: %d more delivered", len(deliveries))
		}
		if err := last.Ack(true); err != nil {
			return err
		}
		for i := 3; i < 6; i++ {
			if last, err = next(deliveries, "delivery after the ack"); err != nil {
				return err
			}
			if string(last.Body) != body(i) {
				return fmt.Errorf("want %q, got %q", body(i), last.Body)
			}
		}
		return nil
	})
}

func mandatoryReturn(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		returns := ch.NotifyReturn(make(chan amqp.Return, 1))
		if err := ch.Confirm(false); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		missing := b.prefix + "nowhere"
		confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", missing, true, false,
			amqp.Publishing{
				MessageId: "returned-1",
				Headers:   amqp.Table{"attempt": int32(1)},
				Body:      []byte("nobody wants this"),
			})
		if err != nil {
			return err
		}
		returned, err := next(returns, "the return")
		if err != nil {
			return err
		}
		if returned.ReplyCode != amqp.NoRoute || returned.ReplyText != "NO_ROUTE" ||
			returned.RoutingKey != missing || returned.Exchange != "" ||
			returned.MessageId != "returned-1" || returned.Headers["attempt"] != int32(1) ||
			string(returned.Body) != "nobody wants this" {
			return fmt.Errorf("returned %+v", returned)
		}
		acked, err := confirmation.WaitContext(ctx)
		if err == nil && !acked {
			err = errors.New("the returned message was not confirmed")
		}
		return err
	})
}

func rpcReplyQueue(b *broker) error {
	const calls = 200
	requests := b.prefix + "rpc"
	server, err := amqp.Dial(b.url)
	if err != nil {
		return err
	}
	defer server.Close()
	serverChannel, err := server.Channel()
	if err != nil {
		return err
	}
	if _, err := serverChannel.QueueDeclare(requests, false, true, false, false, nil); err != nil {
		return err
	}
	incoming, err := serverChannel.Consume(requests, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	go func() {
		for request := range incoming {
			n, _ := strconv.Atoi(string(request.Body))
			answer := amqp.Publishing{
				CorrelationId: request.CorrelationId,
				Body:          []byte(strconv.Itoa(n * n)),
			}
			// An error shows as a call without an answer.
			_ = publishing(serverChannel, "", request.ReplyTo, answer)
			_ = request.Ack(false)
		}
	}()
	return b.withChannel(func(ch *amqp.Channel) error {
		replyQueue, err := queue(ch)
		if err != nil {
			return err
		}
		replies, err := ch.Consume(replyQueue, "", true, true, false, false, nil)
		if err != nil {
			return err
		}
		for i := 0; i < calls; i++ {
			id := fmt.Sprintf("call-%d", i)
			request := amqp.Publishing{
				ReplyTo:       replyQueue,
				CorrelationId: id,
				Body:          []byte(strconv.Itoa(i)),
			}
			if err := publishing(ch, "", requests, request); err != nil {
				return err
			}
			reply, err := next(replies, id)
			if err != nil {
				return err
			}
			if reply.CorrelationId != id || string(reply.Body) != strconv.Itoa(i*i) {
				return fmt.Errorf("%s: got %s, %q", id, reply.CorrelationId, reply.Body)
			}
		}
		return nil
	})
}

func requeueRedelivered(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		for _, body := range []string{"a", "b", "c"} {
			if err := publish(ch, "", name, body); err != nil {
				return err
			}
		}
		for _, want := range []struct {
			body        string
			redelivered bool
			settle      func(amqp.Delivery) error
		}{
			{"a", false, func(d amqp.Delivery) error { return d.Nack(false, true) }},
			{"a", true, func(d amqp.Delivery) error { return d.Reject(true) }},
			{"a", true, func(d amqp.Delivery) error { return d.Ack(false) }},
			{"b", false, func(d amqp.Delivery) error { return d.Nack(false, false) }},
			{"c", false, func(d amqp.Delivery) error { return d.Reject(false) }},
		} {
			message, ok, err := ch.Get(name, false)
			if err != nil {
				return err
			}
			if !ok || string(message.Body) != want.body || message.Redelivered != want.redelivered {
				return fmt.Errorf("want %q, redelivered %t: got %q, %t",
					want.body, want.redelivered, message.Body, message.Redelivered)
			}
			if err := want.settle(message); err != nil {
				return err
			}
		}
		if _, ok, err := ch.Get(name, true); ok || err != nil {
			return fmt.Errorf("after all were settled: %t, %v", ok, err)
		}
		return nil
	})
}

func get(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		if _, ok, err := ch.Get(name, false); ok || err != nil {
			return fmt.Errorf("empty queue: %t, %v", ok, err)
		}
		for i := 0; i < 3; i++ {
			if err := publish(ch, "", name, body(i)); err != nil {
				return err
			}
		}
		for i := 0; i < 3; i++ {
			if err := expectGet(ch, name, body(i), uint32(2-i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func tx(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		if err := ch.Tx(); err != nil {
			return err
		}
		if err := publish(ch, "", name, "rolled back"); err != nil {
			return err
		}
		if err := ch.TxRollback(); err != nil {
			return err
		}
		for i := 0; i < 2; i++ {
			if err := publish(ch, "", name, body(i)); err != nil {
				return err
			}
		}
		if _, ok, err := ch.Get(name, false); ok || err != nil {
			return fmt.Errorf("before the commit: %t, %v", ok, err)
		}
		if err := ch.TxCommit(); err != nil {
			return err
		}
		message, ok, err := ch.Get(name, false)
		if err != nil || !ok || string(message.Body) != body(0) || message.MessageCount != 1 {
			return fmt.Errorf("after the commit: %t, %q, %v", ok, message.Body, err)
		}
		if err := message.Ack(false); err != nil {
			return err
		}
		if err := ch.TxRollback(); err != nil {
			return err
		}
		// The ack was rolled back: it may be given again, and counts now.
		if err := message.Ack(false); err != nil {
			return err
		}
		if err := ch.TxCommit(); err != nil {
			return err
		}
		return expectGet(ch, name, body(1), 0)
	})
}

func propertiesRoundTrip(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		sent := amqp.Publishing{
			Headers: amqp.Table{
				"bool": true, "byte": int8(-7), "short": int16(-300), "int": int32(70000),
				"long": int64(1) << 40, "float": float32(1.5), "double": 2.25,
				"decimal": amqp.Decimal{Scale: 2, Value: 314}, "text": "Grüße", "bytes": []byte{0, 1, 255},
				"time": time.Unix(1700000000, 0).UTC(), "none": nil,
				"list":  []interface{}{"a", int32(1), amqp.Table{"deep": true}},
				"table": amqp.Table{"inner": amqp.Table{"x": int32(1)}},
			},
			ContentType: "application/json", ContentEncoding: "gzip", DeliveryMode: amqp.Transient,
			Priority: 4, CorrelationId: "correlation", ReplyTo: "reply", Expiration: "600000",
			MessageId: "id", Timestamp: time.Unix(1700000001, 0).UTC(), Type: "kind", UserId: "guest",
			AppId: "compat",
			Body:  []byte{},
		}
		if err := publishing(ch, "", name, sent); err != nil {
			return err
		}
		got, ok, err := ch.Get(name, true)
		if err != nil || !ok {
			return fmt.Errorf("get: %t, %v", ok, err)
		}
		received := amqp.Publishing{
			Headers: got.Headers, ContentType: got.ContentType, ContentEncoding: got.ContentEncoding,
			DeliveryMode: got.DeliveryMode, Priority: got.Priority, CorrelationId: got.CorrelationId,
			ReplyTo: got.ReplyTo, Expiration: got.Expiration, MessageId: got.MessageId,
			Timestamp: got.Timestamp.UTC(), Type: got.Type, UserId: got.UserId, AppId: got.AppId,
			Body: append([]byte{}, got.Body...),
		}
		if at, ok := received.Headers["time"].(time.Time); ok {
			received.Headers["time"] = at.UTC()
		}
		if !reflect.DeepEqual(sent, received) {
			return fmt.Errorf("sent %+v, received %+v", sent, received)
		}
		return nil
	})
}

func largeBody(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		large := make([]byte, 5<<20+17)
		for i := range large {
			large[i] = byte(i * 31 >> 3)
		}
		if err := publishing(ch, "", name, amqp.Publishing{Body: large}); err != nil {
			return err
		}
		deliveries, err := ch.Consume(name, "", true, false, false, false, nil)
		if err != nil {
			return err
		}
		got, err := next(deliveries, "the large message")
		if err == nil && !bytes.Equal(got.Body, large) {
			err = fmt.Errorf("%d bytes came back changed, of %d", len(got.Body), len(large))
		}
		return err
	})
}

func consumerCancelNotify(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		cancelled := ch.NotifyCancel(make(chan string, 1))
		deliveries, err := ch.Consume(name, "worker", false, false, false, false, nil)
		if err != nil {
			return err
		}
		if _, err := ch.QueueDelete(name, false, false, false); err != nil {
			return err
		}
		tag, err := next(cancelled, "the cancel")
		if err != nil {
			return err
		}
		if tag != "worker" {
			return fmt.Errorf("cancelled %q", tag)
		}
		if _, open := <-deliveries; open {
			return errors.New("a delivery after the cancel")
		}
		_, err = queue(ch)
		return err
	})
}
