"""All checks of pika: BlockingConnection and SelectConnection."""

import sys

import harness

# Importing a module registers its checks, in the order in which they shall run.
import connections  # noqa: F401
import entities  # noqa: F401
import asynchronous  # noqa: F401
import messages  # noqa: F401
import consumers  # noqa: F401
import streams  # noqa: F401

sys.exit(harness.run_all())
