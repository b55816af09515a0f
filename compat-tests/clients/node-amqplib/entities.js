// Connections, declarations, routing, channel errors.
'use strict';

const assert = require('node:assert/strict');

const { check, connect, expect, named, next, rejection, vhost } = require('./harness');

const CAPABILITIES = [
  'publisher_confirms',
  'exchange_exchange_bindings',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'authentication_failure_close',
  'per_consumer_qos',
];

/** Bodies of all messages that are ready now. */
async function drain(channel, queue) {
  const bodies = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (!message) {
      return bodies;
    }
    bodies.push(message.content.toString());
  }
}

check('connect', async () => {
  const connection = await connect();
  const { product, version, capabilities } = connection.connection.serverProperties;
  expect(product, 'RabbitMQ', 'product');
  assert.match(version, /^\d+\.\d+\.\d+$/);
  for (const capability of CAPABILITIES) {
    expect(capabilities[capability], true, `capability ${capability}`);
  }
});

check('wrong-password', async () => {
  const error = await rejection(connect({ password: 'not the password' }));
  assert.ok(
    error.message.includes('403') &&
      error.message.includes(
        'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. ' +
          'For details see the broker logfile.',
      ),
    error.message,
  );
});

check('amqplain', async () => {
  const { address } = require('./harness');
  const { credentials } = require('amqplib');
  const connection = await connect(
    {},
    { credentials: credentials.amqplain(address.username, address.password) },
  );
  const channel = await connection.createChannel();
  assert.match((await channel.assertQueue('', { exclusive: true })).queue, /^amq\.gen-/);
});

check('declare', async () => {
  const channel = await (await connect()).createConfirmChannel();
  const queue = named('declare');
  const declared = await channel.assertQueue(queue, { durable: true });
  expect({ ...declared }, { queue, messageCount: 0, consumerCount: 0 }, 'declare-ok');
  for (const body of ['0', '1', '2']) {
    channel.sendToQueue(queue, Buffer.from(body));
  }
  await channel.waitForConfirms();
  const passive = await channel.checkQueue(queue);
  expect({ ...passive }, { queue, messageCount: 3, consumerCount: 0 }, 'passive declare-ok');
  expect((await channel.purgeQueue(queue)).messageCount, 3, 'purged');
  channel.sendToQueue(queue, Buffer.from('last'));
  await channel.waitForConfirms();
  expect((await channel.deleteQueue(queue)).messageCount, 1, 'deleted with');

  const exchange = named('declare');
  await channel.assertExchange(exchange, 'topic', { durable: true });
  await channel.assertExchange(exchange, 'topic', { durable: true });
  await channel.checkExchange(exchange);
  await channel.deleteExchange(exchange);
});

/** `act` on a new channel must close it with this code and text, and nothing else. */
async function closesChannel(connection, code, text, act) {
  const channel = await connection.createChannel();
  const event = next(channel, 'error');
  const error = await rejection(act(channel));
  expect(error.code, code, 'reply code');
  assert.ok(error.message.includes(`with message "${text}"`), error.message);
  expect((await event).code, code, 'code of the error event');
  const again = await connection.createChannel();
  assert.match((await again.assertQueue('', { exclusive: true })).queue, /^amq\.gen-/);
}

check('channel-error', async () => {
  const connection = await connect();
  const missing = named('missing');
  await closesChannel(
    connection,
    404,
    `NOT_FOUND - no queue '${missing}' in vhost '${vhost}'`,
    (channel) => channel.checkQueue(missing),
  );
  await closesChannel(
    connection,
    404,
    `NOT_FOUND - no exchange '${missing}' in vhost '${vhost}'`,
    (channel) => channel.checkExchange(missing),
  );
  const channel = await connection.createChannel();
  const queue = named('inequivalent');
  await channel.assertQueue(queue, { durable: true });
  await closesChannel(
    connection,
    406,
    `PRECONDITION_FAILED - inequivalent arg 'durable' for queue '${queue}' in vhost '${vhost}': ` +
      "received 'false' but current is 'true'",
    (other) => other.assertQueue(queue, { durable: false }),
  );
  await channel.deleteQueue(queue);
});

check('unknown-delivery-tag', async () => {
  const channel = await (await connect()).createChannel();
  const event = next(channel, 'error');
  channel.ack({ fields: { deliveryTag: 42 } });
  const error = await event;
  expect(error.code, 406, 'reply code');
  assert.ok(error.message.includes('PRECONDITION_FAILED - unknown delivery tag 42'), error.message);
});

check('exchange-types', async () => {
  const channel = await (await connect()).createChannel();
  const exchange = async (name, type, options = {}) => {
    await channel.assertExchange(named(name), type, { durable: false, autoDelete: true, ...options });
    return named(name);
  };
  const newQueue = async () => (await channel.assertQueue('', { exclusive: true })).queue;
  const bound = async (source, key = '', args = {}) => {
    const queue = await newQueue();
    await channel.bindQueue(queue, source, key, args);
    return queue;
  };
  const publish = (target, key, body = key, headers = {}) =>
    channel.publish(target, key, Buffer.from(body), { headers });

  const direct = await exchange('direct', 'direct');
  const red = await bound(direct, 'red');
  const blue = await bound(direct, 'blue');
  for (const key of ['red', 'blue', 'green']) {
    publish(direct, key);
  }
  expect([await drain(channel, red), await drain(channel, blue)], [['red'], ['blue']], 'direct');
  await channel.unbindQueue(red, direct, 'red');
  publish(direct, 'red');
  expect(await drain(channel, red), [], 'direct after unbind');

  const fanout = await exchange('fanout', 'fanout');
  const all = [await bound(fanout), await bound(fanout)];
  publish(fanout, 'ignored', 'all');
  for (const queue of all) {
    expect(await drain(channel, queue), ['all'], 'fanout');
  }

  const topic = await exchange('topic', 'topic');
  const cases = {
    'order.#': ['order', 'order.new', 'order.new.eu'],
    'order.*': ['order.new'],
    '*.new.#': ['order.new', 'order.new.eu', 'user.new'],
    '#': ['order', 'order.new', 'order.new.eu', 'user.new'],
  };
  const queues = {};
  for (const pattern of Object.keys(cases)) {
    queues[pattern] = await bound(topic, pattern);
  }
  for (const key of cases['#']) {
    publish(topic, key);
  }
  for (const [pattern, wanted] of Object.entries(cases)) {
    expect(await drain(channel, queues[pattern]), wanted, `topic ${pattern}`);
  }

  const headers = await exchange('headers', 'headers');
  const both = await bound(headers, '', { 'x-match': 'all', kind: 'pdf', pages: 3 });
  const either = await bound(headers, '', { 'x-match': 'any', kind: 'pdf', pages: 3 });
  publish(headers, '', 'both', { kind: 'pdf', pages: 3 });
  publish(headers, '', 'kind', { kind: 'pdf' });
  publish(headers, '', 'none', { kind: 'doc' });
  expect(await drain(channel, both), ['both'], 'headers all');
  expect(await drain(channel, either), ['both', 'kind'], 'headers any');

  const queue = await newQueue();
  publish('', queue, 'by name');
  expect(await drain(channel, queue), ['by name'], 'default exchange');

  const unrouted = await exchange('unrouted', 'fanout');
  const main = await exchange('main', 'direct', { alternateExchange: unrouted });
  const known = await bound(main, 'known');
  const unknown = await bound(unrouted);
  publish(main, 'known');
  publish(main, 'unknown');
  expect(await drain(channel, known), ['known'], 'routed');
  expect(await drain(channel, unknown), ['unknown'], 'alternate exchange');

  const source = await exchange('source', 'topic');
  const target = await exchange('target', 'fanout');
  const behind = await bound(target);
  await channel.bindExchange(target, source, 'eu.#');
  publish(source, 'eu.de');
  publish(source, 'us.ny');
  expect(await drain(channel, behind), ['eu.de'], 'exchange to exchange');
  await channel.unbindExchange(target, source, 'eu.#');
});

check('heartbeat-idle', async () => {
  const heartbeat = 2;
  const connection = await connect({ heartbeat });
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  // The idle time is the check; a lost connection ends it early.
  let idle;
  await Promise.race([
    new Promise((resolve) => {
      idle = setTimeout(resolve, (3 * heartbeat + 1) * 1000);
    }),
    next(connection, 'close').then(() => {
      clearTimeout(idle);
      throw new Error('the connection closed while it was idle');
    }),
  ]);
  channel.sendToQueue(queue, Buffer.from('still here'));
  expect(await drain(channel, queue), ['still here'], 'after the idle time');
});

check('update-secret', async () => {
  const connection = await connect();
  const event = next(connection, 'update-secret-ok');
  await connection.updateSecret(Buffer.from('a new secret'), 'rotated');
  await event;
  const channel = await connection.createChannel();
  assert.match((await channel.assertQueue('', { exclusive: true })).queue, /^amq\.gen-/);
});

check('close', async () => {
  const connection = await connect();
  const channel = await connection.createChannel();
  await channel.assertQueue(named('close'), { exclusive: true });
  const channelClosed = next(channel, 'close');
  await channel.close();
  await channelClosed;
  await (await connection.createChannel()).checkQueue(named('close'));
  const closed = next(connection, 'close');
  await connection.close();
  expect(await closed, undefined, 'error of the close event');
  // The exclusive queue is gone by the time close-ok arrived, so the name is free.
  const again = await (await connect()).createChannel();
  await again.assertQueue(named('close'), { exclusive: true });
});

module.exports = { drain };
