// A TCP proxy in front of the broker whose connections can be cut, as a network does.
'use strict';

const net = require('node:net');

async function startProxy(host, port) {
  const open = new Set();
  const server = net.createServer((client) => {
    const broker = net.connect(port, host);
    for (const [side, other] of [
      [client, broker],
      [broker, client],
    ]) {
      open.add(side);
      side.on('error', () => {});
      side.on('close', () => {
        open.delete(side);
        other.destroy();
      });
      side.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const side of open) {
      side.destroy();
    }
  };
  return {
    port: server.address().port,
    cut,
    stop() {
      server.close();
      cut();
    },
  };
}

module.exports = { startProxy };
