// Runs named async functions one after another and prints `ok` or `not ok` for each.
'use strict';

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { inspect } = require('node:util');

const amqplib = require('amqplib');

const env = process.env;
const vhost = env.LEVERET_VHOST || '/';
const address = {
  protocol: 'amqp',
  hostname: env.LEVERET_HOST || '127.0.0.1',
  port: Number(env.LEVERET_PORT || 5672),
  username: env.LEVERET_USER || 'guest',
  password: env.LEVERET_PASS || 'guest',
  vhost,
};

// Names are new in every run, so that a broker can be used for many runs.
const run = `node-${randomBytes(4).toString('hex')}`;
const checks = [];
const opened = [];

function check(name, act, deadlineSeconds = 60) {
  checks.push({ name, act, deadlineSeconds });
}

function named(suffix) {
  return `${run}.${suffix}`;
}

function expect(got, wanted, what) {
  assert.deepEqual(got, wanted, `${what}: got ${inspect(got)}, wanted ${inspect(wanted)}`);
}

/** A connection that is closed at the end of the check. */
async function connect(changes = {}, socketOptions = {}) {
  const connection = await amqplib.connect(
    { ...address, ...changes },
    { clientProperties: { connection_name: run }, ...socketOptions },
  );
  // Without a listener an 'error' event would end the process; the checks look at it themselves.
  connection.on('error', () => {});
  opened.push(connection);
  return connection;
}

/** The next event of this name; the check's deadline ends the waiting. */
function next(emitter, event) {
  return new Promise((resolve) => emitter.once(event, resolve));
}

/** The error with which `promise` must be rejected. */
async function rejection(promise) {
  const value = await promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
  assert.ok(value.error, `no error, but ${inspect(value.value)}`);
  return value.error;
}

function within(seconds, promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function closeOpened() {
  for (const connection of opened.splice(0)) {
    await within(10, connection.close()).catch(() => {});
  }
}

async function runAll() {
  let failed = 0;
  for (const { name, act, deadlineSeconds } of checks) {
    try {
      await within(deadlineSeconds, act());
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      const place = /\(?(\/[^()]*node-amqplib\/(?!harness)[^()]*:\d+):\d+\)?/.exec(error.stack || '');
      const line = place ? ` (${place[1].split('/').pop()})` : '';
      console.log(`not ok ${name}: ${String(error.message).replace(/\s+/g, ' ')}${line}`);
    }
    await closeOpened();
  }
  return failed ? 1 : 0;
}

module.exports = { address, check, connect, expect, named, next, rejection, runAll, vhost };
