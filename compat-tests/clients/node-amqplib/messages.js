// Publishing: confirms, returns, properties and sizes, basic.get.
'use strict';

const { drain } = require('./entities');
const { check, connect, expect, named, next } = require('./harness');

const BULK_COUNT = 10000;

check(
  'confirm-publish-10000',
  async () => {
    const channel = await (await connect()).createConfirmChannel();
    const queue = named('bulk');
    await channel.assertQueue(queue, { durable: true });
    let confirmed = 0;
    for (let number = 0; number < BULK_COUNT; number += 1) {
      const writable = channel.sendToQueue(
        queue,
        Buffer.from(`message ${number}`),
        { persistent: true },
        (error) => {
          confirmed += error ? 0 : 1;
        },
      );
      if (!writable) {
        await next(channel, 'drain');
      }
    }
    await channel.waitForConfirms();
    expect(confirmed, BULK_COUNT, 'confirmed messages');
    expect((await channel.checkQueue(queue)).messageCount, BULK_COUNT, 'messages in the queue');
  },
  180,
);

check(
  'consume-prefetch-ack',
  async () => {
    const channel = await (await connect()).createChannel();
    const queue = named('bulk');
    await channel.prefetch(100);
    const bodies = [];
    await new Promise((resolve, reject) => {
      const consumed = (message) => {
        if (message.properties.deliveryMode !== 2 || message.fields.redelivered) {
          reject(new Error(`delivery ${JSON.stringify(message.fields)} is not as published`));
        }
        bodies.push(message.content.toString());
        channel.ack(message);
        if (bodies.length === BULK_COUNT) {
          resolve();
        }
      };
      channel.consume(queue, consumed).catch(reject);
    });
    const wanted = Array.from({ length: BULK_COUNT }, (_, number) => `message ${number}`);
    expect(bodies.join() === wanted.join(), true, 'all bodies in the order of publishing');
    // The acks are on their way before the close, which gives back what is not acked.
    await channel.close();
    const other = await (await connect()).createChannel();
    expect((await other.deleteQueue(queue)).messageCount, 0, 'left after the acks');
  },
  120,
);

check('mandatory-return', async () => {
  const channel = await (await connect()).createConfirmChannel();
  const returned = next(channel, 'return');
  const order = [];
  channel.once('return', () => order.push('return'));
  await new Promise((resolve, reject) => {
    channel.publish(
      'amq.direct',
      named('nobody'),
      Buffer.from('back'),
      { mandatory: true, messageId: 'm1', headers: { a: 1 } },
      (error) => {
        order.push('ack');
        return error ? reject(error) : resolve();
      },
    );
  });
  const message = await returned;
  expect(message.fields.replyCode, 312, 'reply code');
  expect(message.fields.replyText, 'NO_ROUTE', 'reply text');
  expect(message.fields.exchange, 'amq.direct', 'exchange');
  expect(message.fields.routingKey, named('nobody'), 'routing key');
  expect(message.properties.messageId, 'm1', 'message id');
  expect(message.properties.headers, { a: 1 }, 'headers');
  expect(message.content.toString(), 'back', 'body');
  expect(order, ['return', 'ack'], 'the return comes before the confirm');
});

check('get', async () => {
  const channel = await (await connect()).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  expect(await channel.get(queue), false, 'get of an empty queue');
  for (const body of ['one', 'two', 'three']) {
    channel.sendToQueue(queue, Buffer.from(body));
  }
  const first = await channel.get(queue);
  expect(first.content.toString(), 'one', 'first');
  expect([first.fields.messageCount, first.fields.redelivered], [2, false], 'first');
  channel.nack(first);
  const again = await channel.get(queue);
  expect(again.content.toString(), 'one', 'again');
  expect([again.fields.messageCount, again.fields.redelivered], [2, true], 'again');
  channel.ack(again);
  expect(await drain(channel, queue), ['two', 'three'], 'the rest');
});

check('properties-round-trip', async () => {
  const channel = await (await connect()).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const headers = {
    text: 'grüße',
    flag: true,
    number: 7,
    large: 2 ** 40,
    negative: -70000,
    float: 2.5,
    nothing: null,
    octets: Buffer.from([0, 255]),
    list: [1, 'two', { three: 3 }],
    table: { inner: { innermost: false } },
  };
  const options = {
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    priority: 4,
    correlationId: 'correlation',
    replyTo: 'reply',
    messageId: 'id',
    timestamp: 1700000000,
    type: 'order.created',
    appId: 'shop',
  };
  // Around the negotiated frame size (a body frame carries 8 octets less), and several frames.
  for (const size of [0, 1, 131064, 131065, 3000000]) {
    const body = Buffer.alloc(size, 'abcdefg');
    channel.sendToQueue(queue, body, { ...options, headers });
    const message = await channel.get(queue, { noAck: true });
    expect(message.content.equals(body), true, `content of ${size} octets`);
    expect(message.properties.headers, headers, 'headers');
    for (const [name, wanted] of Object.entries(options)) {
      expect(message.properties[name], wanted, name);
    }
  }
});
