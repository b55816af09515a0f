// All checks of amqplib: its promise API, with confirm channels and recovery.
'use strict';

const harness = require('./harness');

// Requiring a module registers its checks, in the order in which they shall run.
require('./entities');
require('./messages');
require('./consumers');
require('./recovery');

harness.runAll().then((code) => process.exit(code));
