// amqplib's own recovery: `setup` runs again on each new connection.
'use strict';

const { address, check, connect, expect, named, next } = require('./harness');
const { startProxy } = require('./proxy');

check('connection-recovery', async () => {
  const proxy = await startProxy(address.hostname, address.port);
  const exchange = named('recovery');
  const bodies = [];
  let arrived = () => {};
  const setup = async (connection) => {
    const channel = await connection.createChannel();
    await channel.assertExchange(exchange, 'topic', { durable: true });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, 'order.#');
    await channel.consume(queue, (message) => {
      bodies.push(message.content.toString());
      channel.ack(message);
      arrived();
    });
  };
  const recovering = await connect(
    { hostname: '127.0.0.1', port: proxy.port },
    { recovery: { initialDelay: 50, setup } },
  );
  recovering.on('disconnect', () => {});
  recovering.on('connect-failed', () => {});

  const publisher = await (await connect()).createConfirmChannel();
  for (let round = 0; round < 4; round += 1) {
    if (round > 0) {
      const connected = next(recovering, 'connect');
      proxy.cut();
      await connected;
    }
    const delivery = new Promise((resolve) => {
      arrived = resolve;
    });
    publisher.publish(exchange, 'order.new', Buffer.from(String(round)));
    await delivery;
  }
  expect(bodies, ['0', '1', '2', '3'], 'bodies');
  await recovering.close();
  await publisher.deleteExchange(exchange);
  proxy.stop();
});
