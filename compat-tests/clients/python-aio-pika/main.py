"""All checks of aio-pika."""

import logging
import sys

import harness

# Importing a module registers its checks, in the order in which they shall run.
import entities  # noqa: F401
import messages  # noqa: F401
import patterns  # noqa: F401
import recovery  # noqa: F401

# The libraries log each lost connection with a traceback; recovery.py loses some on purpose.
logging.disable(logging.CRITICAL)
sys.exit(harness.run_all())
