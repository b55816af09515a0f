"""All checks: kombu by itself first, then Celery with real worker processes."""

import sys

import harness

# Importing a module registers its checks, in the order in which they shall run.
import kombu_entities  # noqa: F401
import kombu_messages  # noqa: F401
import kombu_consumers  # noqa: F401
import celery_checks  # noqa: F401
import worker

try:
    code = harness.run_all()
finally:
    worker.stop_all()
sys.exit(code)
