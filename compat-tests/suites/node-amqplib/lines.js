'use strict';
// A mocha reporter: one line per test case into $SUITE_LINES, as ../run reads them.

const fs = require('fs');
const path = require('path');

const REASON_CHARACTERS_MAX = 300;

function nameOf(test) {
  const file = path.basename(test.file || test.parent?.file || 'hook');
  return `${file}::${test.titlePath().join('::')}`.replace(/\s+/g, '_').replace(/:(?=_|$)/g, '');
}

function oneLine(text) {
  return String(text).split(/\s+/).join(' ').slice(0, REASON_CHARACTERS_MAX);
}

module.exports = function Lines(runner) {
  const lines = new Map();
  runner.on('pass', (test) => {
    const name = nameOf(test);
    if (!lines.has(name)) lines.set(name, `ok ${name}`);
  });
  runner.on('pending', (test) => lines.set(nameOf(test), `skip ${nameOf(test)}: pending`));
  runner.on('fail', (test, error) => {
    console.log(error.stack || error);
    lines.set(nameOf(test), `not ok ${nameOf(test)}: ${oneLine(error.message || error)}`);
  });
  runner.on('end', () => {
    fs.writeFileSync(process.env.SUITE_LINES, [...lines.values()].map((line) => `${line}\n`).join(''));
  });
};
