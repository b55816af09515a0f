"""Definitions of every kind from RabbitMQ into Leveret, out again, and back into RabbitMQ."""

import json

from compare import Api

VHOST = "round"

OBJECTS = [
    (f"vhosts/{VHOST}", {"description": "d", "tags": "a,b"}),
    ("users/trip", {"password": "p", "tags": "management,mine"}),
    (f"permissions/{VHOST}/trip", {"configure": "^c", "write": ".*", "read": ""}),
    (f"topic-permissions/{VHOST}/trip", {"exchange": "t", "write": "^w", "read": "r$"}),
    (f"policies/{VHOST}/p", {"pattern": "^q", "definition": {"max-length": 5}, "apply-to": "queues", "priority": 3}),
    (f"operator-policies/{VHOST}/o", {"pattern": ".*", "definition": {"expires": 99999999}, "apply-to": "queues"}),
    (f"vhost-limits/{VHOST}/max-queues", {"value": 50}),
    ("user-limits/trip/max-channels", {"value": 7}),
    ("global-parameters/round", {"value": {"list": [1, "a"]}}),
    (f"exchanges/{VHOST}/t", {"type": "topic", "durable": True, "arguments": {"alternate-exchange": "h"}}),
    (f"exchanges/{VHOST}/h", {"type": "headers", "durable": True, "internal": True}),
    (f"exchanges/{VHOST}/c", {"type": "x-consistent-hash", "durable": True, "auto_delete": True}),
    (f"queues/{VHOST}/q", {"durable": True, "arguments": {"x-message-ttl": 1000, "x-max-priority": 5}}),
    (f"queues/{VHOST}/ü %2F", {"durable": True, "auto_delete": True}),
    (f"queues/{VHOST}/quorum", {"durable": True, "arguments": {"x-queue-type": "quorum"}}),
    (f"queues/{VHOST}/stream", {"durable": True, "arguments": {"x-queue-type": "stream"}}),
    (f"queues/{VHOST}/transient", {"durable": False}),
]

BINDINGS = [
    (f"bindings/{VHOST}/e/t/q/q", {"routing_key": "a.#", "arguments": {}}),
    (f"bindings/{VHOST}/e/h/q/q", {"routing_key": "", "arguments": {"x-match": "any", "n": 1, "t": "text", "b": True}}),
    (f"bindings/{VHOST}/e/t/e/h", {"routing_key": "k"}),
    (f"bindings/{VHOST}/e/c/q/quorum", {"routing_key": "2"}),
]

SECTIONS = [
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
    "parameters",
    "policies",
    "exchanges",
    "queues",
    "bindings",
    "global_parameters",
]

# What one of them writes and the other does not, by section: RabbitMQ 3.10 has neither the limits nor the metadata of virtual hosts
# in its file, nor the type of a queue beside its arguments. A node's identity is its own.
FIELDS = {"vhosts": ["name"], "queues": ["name", "vhost", "durable", "auto_delete", "arguments"]}


def rows(document, section):
    """Those of the objects above, with the fields that are compared."""
    chosen = []
    for row in document.get(section, []):
        ours = VHOST in (row.get("vhost"), row.get("name")) or "trip" in (row.get("user"), row.get("name"))
        if ours:
            fields = FIELDS.get(section)
            chosen.append({key: row[key] for key in fields} if fields else row)
    return sorted(chosen, key=lambda row: json.dumps(row, sort_keys=True))


def round_trip(rabbit_port, leveret_port):
    """Number of differences; prints them."""
    rabbit, leveret = Api(rabbit_port), Api(leveret_port)
    for method, objects in (("PUT", OBJECTS), ("POST", BINDINGS)):
        for path, body in objects:
            status, answer = rabbit.request(method, path.replace("ü ", "%C3%BC%20"), body)
            if status not in (201, 204):
                raise AssertionError(f"{method} {path}: {status} {answer}")
    _, exported = rabbit.get("definitions")
    failed = 0
    status, answer = leveret.request("POST", "definitions", exported)
    if status != 204:
        failed += 1
        print(f"FAILED Leveret does not take RabbitMQ's definitions: {status} {answer}")
    _, again = leveret.get("definitions")
    for section in SECTIONS:
        theirs, ours = rows(exported, section), rows(again, section)
        if theirs != ours:
            failed += 1
            print(f"FAILED {section}:\n  RabbitMQ {theirs}\n  Leveret  {ours}")
    # RabbitMQ takes back what Leveret made of it: all that it knows, into a virtual host that is empty again.
    rabbit.request("DELETE", f"vhosts/{VHOST}")
    status, answer = rabbit.request("POST", "definitions", again)
    if status != 204:
        failed += 1
        print(f"FAILED RabbitMQ does not take Leveret's definitions: {status} {answer}")
    _, back = rabbit.get("definitions")
    for section in SECTIONS:
        before, after = rows(exported, section), rows(back, section)
        if before != after:
            failed += 1
            print(f"FAILED back in RabbitMQ, {section}:\n  before {before}\n  after  {after}")
    rabbit.request("DELETE", f"vhosts/{VHOST}")
    rabbit.request("DELETE", "users/trip")
    rabbit.request("DELETE", "global-parameters/round")
    return failed
