// Consuming: redelivery, prefetch, RPC, cancellation.
'use strict';

const { randomUUID } = require('node:crypto');

const { drain } = require('./entities');
const { check, connect, expect, named } = require('./harness');

check('requeue-redelivered', async () => {
  const channel = await (await connect()).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const body of ['0', '1', '2', '3']) {
    channel.sendToQueue(queue, Buffer.from(body));
  }
  await channel.prefetch(2);
  const seen = [];
  await new Promise((resolve, reject) => {
    const consumed = (message) => {
      const body = message.content.toString();
      seen.push([body, message.fields.redelivered]);
      if (body === '1' && !message.fields.redelivered) {
        // 0 and 1 go back together, and before 2 and 3.
        channel.nack(message, true, true);
      } else if (body !== '0' || message.fields.redelivered) {
        channel.ack(message);
      }
      if (body === '3') {
        resolve();
      }
    };
    channel.consume(queue, consumed).catch(reject);
  });
  const wanted = [
    ['0', false],
    ['1', false],
    ['0', true],
    ['1', true],
    ['2', false],
    ['3', false],
  ];
  expect(seen, wanted, 'deliveries');
});

check('prefetch-per-consumer', async () => {
  const channel = await (await connect()).createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (let number = 0; number < 30; number += 1) {
    channel.sendToQueue(queue, Buffer.from(String(number)));
  }
  await channel.waitForConfirms();
  // Each prefetch is for the consumers that come after it.
  const held = { narrow: [], wide: [] };
  const full = (name, size) =>
    new Promise((resolve, reject) => {
      const consumed = (message) => {
        held[name].push(message);
        if (held[name].length === size) {
          resolve();
        }
      };
      channel.consume(queue, consumed).catch(reject);
    });
  await channel.prefetch(3);
  const narrow = full('narrow', 3);
  await channel.prefetch(10);
  await Promise.all([narrow, full('wide', 10)]);
  expect((await channel.checkQueue(queue)).messageCount, 17, 'ready');
  expect([held.narrow.length, held.wide.length], [3, 10], 'held');
});

check('rpc-reply-queue', async () => {
  const calls = 200;
  const requests = named('rpc');
  const server = await (await connect()).createChannel();
  await server.assertQueue(requests, { durable: false, autoDelete: true });
  await server.prefetch(10);
  await server.consume(requests, (message) => {
    const result = Number(message.content) ** 2;
    server.sendToQueue(message.properties.replyTo, Buffer.from(String(result)), {
      correlationId: message.properties.correlationId,
    });
    server.ack(message);
  });

  const client = await (await connect()).createChannel();
  const { queue: replyTo } = await client.assertQueue('', { exclusive: true });
  const waiting = new Map();
  await client.consume(
    replyTo,
    (message) => {
      const { correlationId } = message.properties;
      waiting.get(correlationId)(Number(message.content));
      waiting.delete(correlationId);
    },
    { noAck: true },
  );
  const call = (number) =>
    new Promise((resolve) => {
      const correlationId = randomUUID();
      waiting.set(correlationId, resolve);
      client.sendToQueue(requests, Buffer.from(String(number)), { replyTo, correlationId });
    });
  for (let number = 0; number < calls / 2; number += 1) {
    expect(await call(number), number ** 2, 'one after another');
  }
  const numbers = Array.from({ length: calls / 2 }, (_, number) => number);
  expect(
    await Promise.all(numbers.map(call)),
    numbers.map((number) => number ** 2),
    'all at once',
  );
});

check('consumer-cancel-notify', async () => {
  const connection = await connect();
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const notified = new Promise((resolve, reject) => {
    channel.consume(queue, resolve).catch(reject);
  });
  const deleting = await connection.createChannel();
  await channel.checkQueue(queue);
  await deleting.deleteQueue(queue);
  // amqplib hands null to the consumer.
  expect(await notified, null, 'what the consumer gets');
  await channel.assertQueue('', { exclusive: true });
});

check('cancel-and-recover', async () => {
  const channel = await (await connect()).createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const body of ['a', 'b']) {
    channel.sendToQueue(queue, Buffer.from(body));
  }
  await channel.waitForConfirms();
  const seen = [];
  let consumerTag;
  await new Promise((resolve, reject) => {
    const consumed = (message) => {
      seen.push(message.content.toString());
      if (seen.length === 2) {
        resolve();
      }
    };
    channel.consume(queue, consumed).then((ok) => {
      consumerTag = ok.consumerTag;
    }, reject);
  });
  await channel.cancel(consumerTag);
  expect(await drain(channel, queue), [], 'still held after the cancel');
  await channel.recover();
  expect(await drain(channel, queue), ['a', 'b'], 'ready after recover');
});

check('nack-all', async () => {
  const channel = await (await connect()).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const body of ['a', 'b', 'c']) {
    channel.sendToQueue(queue, Buffer.from(body));
  }
  for (let number = 0; number < 3; number += 1) {
    await channel.get(queue);
  }
  channel.nackAll(true);
  const messages = [await channel.get(queue), await channel.get(queue)];
  expect(
    messages.map((message) => [message.content.toString(), message.fields.redelivered]),
    [
      ['a', true],
      ['b', true],
    ],
    'after nackAll',
  );
  channel.ackAll();
  expect(await drain(channel, queue), ['c'], 'after ackAll');
});
