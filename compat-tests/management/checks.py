"""What `run` has started the brokers for. Arguments: ports (AMQP, HTTP) of RabbitMQ and two Leverets, then what to check."""

import sys

import compare
import definitions
import flowers
import refusals
import tools


def main():
    ports = [int(port) for port in sys.argv[1:7]]
    rabbit, leveret, other = zip(ports[::2], ports[1::2])
    checks = {
        # In this order: each wants to see its own objects alone.
        "tools": lambda: tools.check(other[1]),
        "flower": lambda: flowers.check(*other),
        "compare": lambda: compare.compare(rabbit, leveret),
        "definitions": lambda: definitions.round_trip(rabbit[1], other[1]),
        "refusals": lambda: refusals.compare(rabbit[1], leveret[1]),
    }
    failed = 0
    for name, check in checks.items():
        if name in sys.argv[7:]:
            found = check()
            print(f"== {name}: {'ok' if found == 0 else f'{found} failures'}")
            failed += found
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
