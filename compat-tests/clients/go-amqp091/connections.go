package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func connect(b *broker) error {
	conn, err := amqp.DialConfig(b.url, amqp.Config{
		Locale:     "en_US",
		Properties: amqp.Table{"connection_name": "compat-go-amqp091"},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if product := conn.Properties["product"]; product != "RabbitMQ" {
		return fmt.Errorf("product %v", product)
	}
	version, _ := conn.Properties["version"].(string)
	if !regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(version) {
		return fmt.Errorf("version %q", version)
	}
	capabilities, ok := conn.Properties["capabilities"].(amqp.Table)
	if !ok {
		return fmt.Errorf("capabilities %v", conn.Properties["capabilities"])
	}
	for _, name := range []string{
		"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
		"connection.blocked", "authentication_failure_close", "per_consumer_qos",
	} {
		if capabilities[name] != true {
			return fmt.Errorf("capability %s is %v", name, capabilities[name])
		}
	}
	if conn.Config.FrameSize != 131072 || conn.Config.ChannelMax != 2047 {
		return fmt.Errorf("tuned to frame_max %d, channel_max %d", conn.Config.FrameSize, conn.Config.ChannelMax)
	}
	return nil
}

func loginRefused(b *broker) error {
	address, err := url.Parse(b.url)
	if err != nil {
		return err
	}
	address.User = url.UserPassword("guest", "not the password")
	conn, err := amqp.Dial(address.String())
	if err == nil {
		conn.Close()
		return errors.New("a wrong password was accepted")
	}
	return expectError(err, amqp.AccessRefused,
		"username or password not allowed") // the library's own text for a 403 at login
}

func channelError(b *broker) error {
	missing := b.prefix + "missing"
	err := b.withChannel(func(ch *amqp.Channel) error {
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		_, err := ch.QueueDeclarePassive(missing, true, false, false, false, nil)
		text := fmt.Sprintf("NOT_FOUND - no queue '%s' in vhost '%s'", missing, b.vhost)
		if err := expectError(err, amqp.NotFound, text); err != nil {
			return err
		}
		reason, err := next(closed, "the channel's close")
		if err != nil {
			return err
		}
		return expectError(reason, amqp.NotFound, text)
	})
	if err != nil {
		return err
	}
	if b.conn.IsClosed() {
		return errors.New("the connection closed too")
	}
	return b.withChannel(func(ch *amqp.Channel) error {
		_, err := queue(ch)
		return err
	})
}

func exclusiveLock(b *broker) error {
	return b.withChannel(func(ch *amqp.Channel) error {
		name, err := queue(ch)
		if err != nil {
			return err
		}
		other, err := amqp.Dial(b.url)
		if err != nil {
			return err
		}
		defer other.Close()
		stranger, err := other.Channel()
		if err != nil {
			return err
		}
		_, err = stranger.QueueDeclarePassive(name, false, false, true, false, nil)
		return expectError(err, amqp.ResourceLocked, fmt.Sprintf(
			"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '%s'. "+
				"It could be originally declared on another connection or the exclusive property value "+
				"does not match that of the original declaration.", name, b.vhost))
	})
}

func heartbeatIdle(b *broker) error {
	const interval = time.Second
	conn, err := amqp.DialConfig(b.url, amqp.Config{Heartbeat: interval, Locale: "en_US"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if conn.Config.Heartbeat != interval {
		return fmt.Errorf("tuned to a heartbeat of %s", conn.Config.Heartbeat)
	}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	select {
	case reason := <-closed:
		return fmt.Errorf("closed while idle: %v", reason)
	case <-time.After(4 * interval):
	}
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	name, err := queue(ch)
	if err != nil {
		return err
	}
	if err := publish(ch, "", name, "still here"); err != nil {
		return err
	}
	return expectGet(ch, name, "still here", 0)
}

func closeCleanly(b *broker) error {
	conn, err := amqp.Dial(b.url)
	if err != nil {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	name, err := queue(ch)
	if err != nil {
		return err
	}
	channelClosed := ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := ch.Close(); err != nil {
		return err
	}
	if reason := <-channelClosed; reason != nil {
		return fmt.Errorf("the channel closed with %v", reason)
	}
	connectionClosed := conn.NotifyClose(make(chan *amqp.Error, 1))
	if err := conn.Close(); err != nil {
		return err
	}
	if reason := <-connectionClosed; reason != nil {
		return fmt.Errorf("the connection closed with %v", reason)
	}
	// Exclusive queues go before close-ok is sent: nobody may find it now.
	err = b.withChannel(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(name, false, false, true, false, nil)
		return expectError(err, amqp.NotFound,
			fmt.Sprintf("NOT_FOUND - no queue '%s' in vhost '%s'", name, b.vhost))
	})
	if err != nil {
		return err
	}
	return b.conn.Close()
}
