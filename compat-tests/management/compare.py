"""Every GET of the management API, field by field: is it there, and of which type, in RabbitMQ and in Leveret?"""

import base64
import json
import pathlib
import re
import urllib.error
import urllib.parse
import urllib.request

from traffic import Traffic, await_value

DIFFERENCES = pathlib.Path(__file__).with_name("differences.txt")

PATHS = """
overview
overview?lengths_age=60&lengths_incr=5&msg_rates_age=60&msg_rates_incr=5
nodes
nodes/{node}
nodes/{node}/memory
nodes/{node}/memory/relative
cluster-name
extensions
feature-flags
auth/attempts/{node}
auth/attempts/{node}/source
auth/hash_password/secret
whoami
connections
connections/{connection}
connections/{connection}/channels
connections/username/guest
vhosts/%2F/connections
vhosts/%2F/channels
channels
channels/{connection}%20%281%29
channels/{connection}%20%282%29
consumers
consumers/%2F
exchanges
exchanges/%2F
exchanges/%2F/topic
exchanges/%2F/amq.default
exchanges/%2F/topic/bindings/source
exchanges/%2F/topic/bindings/destination
exchanges/%2F/amq.default/bindings/source
queues
queues/%2F
queues?page=1&page_size=2&name=c&sort=messages
queues/%2F?disable_stats=true&enable_queue_totals=true
queues/%2F/classic
queues/%2F/quorum
queues/%2F/stream
queues/%2F/private
queues/%2F/classic/bindings
queues/%2F/nothing
queues/nowhere/nothing
bindings
bindings/%2F
bindings/%2F/e/topic/q/classic
bindings/%2F/e/topic/q/classic/a.%2523
bindings/%2F/e/fan/e/topic
vhosts
vhosts/%2F
vhosts/%2F/permissions
vhosts/%2F/topic-permissions
vhost-limits
vhost-limits/%2F
users
users/guest
users/guest/permissions
users/without-permissions
user-limits
user-limits/guest
permissions
permissions/%2F/guest
topic-permissions
policies
policies/%2F
policies/%2F/p
operator-policies
operator-policies/%2F/o
parameters
parameters/vhost-limits
parameters/nothing
global-parameters
global-parameters/known
definitions
definitions/%2F
health/checks/alarms
health/checks/local-alarms
health/checks/virtual-hosts
health/checks/node-is-quorum-critical
health/checks/protocol-listener/amqp091
health/checks/protocol-listener/mqtt
health/checks/port-listener/1
aliveness-test/%2F
healthchecks/node
queues?page=9
queues?page=0
queues?page=x
queues?page=1&page_size=501
""".split()

OBJECTS = [
    ("policies/%2F/p", {"pattern": "^classic$", "definition": {"max-length": 500}, "apply-to": "queues"}),
    ("operator-policies/%2F/o", {"pattern": "^nothing$", "definition": {"max-length": 500}, "apply-to": "queues"}),
    ("vhost-limits/%2F/max-queues", {"value": 1000}),
    ("user-limits/guest/max-connections", {"value": 1000}),
    ("users/other", {"password": "p", "tags": "management"}),
    ("topic-permissions/%2F/guest", {"exchange": "topic", "write": ".*", "read": ".*"}),
    ("global-parameters/known", {"value": {"any": 1}}),
]


class Api:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/api/"

    def request(self, method, path, body=None):
        """Status and JSON, or text."""
        request = urllib.request.Request(self.base + path, method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, data, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text) if text else None
        except ValueError:
            return status, text.decode(errors="replace")

    def get(self, path):
        return self.request("GET", path)


def kind(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def key_of(row):
    """What rows of a list are compared by."""
    if not isinstance(row, dict):
        return None
    for name in ("name", "consumer_tag", "protocol", "javascript", "component"):
        if isinstance(row.get(name), str) and (name != "name" or "->" not in row["name"]):
            return row[name] + str(row.get("properties_key", "")) + str(row.get("destination", ""))
    if "properties_key" in row:
        return f"{row['source']}>{row['destination']}:{row['routing_key']}:{bool(row['arguments'])}"
    return None


def differences(path, rabbit, leveret):
    """Lines such as `queues[].memory: only in RabbitMQ`."""
    if isinstance(rabbit, dict) and isinstance(leveret, dict):
        for key in sorted(rabbit.keys() | leveret.keys()):
            # Names of nodes are keys too.
            place = f"{path}.{'<node>' if '@' in key else key}"
            if key not in leveret and "@" not in key:
                yield f"{place}: only in RabbitMQ"
            elif key not in rabbit and "@" not in key:
                yield f"{place}: only in Leveret"
            elif key in rabbit and key in leveret:
                yield from differences(place, rabbit[key], leveret[key])
        return
    if isinstance(rabbit, list) and isinstance(leveret, list):
        theirs = {key_of(row): row for row in rabbit}
        ours = {key_of(row): row for row in leveret}
        for key, row in theirs.items():
            if key in ours:
                yield from differences(f"{path}[]", row, ours[key])
            elif not (rabbit and leveret) or key is None:
                yield f"{path}: {len(rabbit)} in RabbitMQ, {len(leveret)} in Leveret"
            else:
                yield f"{path}[{key}]: only in RabbitMQ"
        for key in ours.keys() - theirs.keys():
            yield f"{path}[{key}]: only in Leveret"
        return
    if kind(rabbit) != kind(leveret):
        yield f"{path}: {kind(rabbit)} in RabbitMQ, {kind(leveret)} in Leveret"


def known_differences():
    known = set()
    for line in DIFFERENCES.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            known.add(line.strip())
    return known


def is_known(line, known, used):
    """An entry's `*` stands for anything."""
    for entry in known:
        if re.fullmatch(re.escape(entry).replace(r"\*", ".*"), line):
            used.add(entry)
            return True
    return False


def fill(api, amqp_port):
    traffic = Traffic(amqp_port)
    traffic.start()
    for path, body in OBJECTS:
        status, answer = api.request("PUT", path, body)
        if status not in (201, 204):
            raise AssertionError(f"PUT {path}: {status} {answer}")

    def counted():
        _, queue = api.get("queues/%2F/classic")
        _, channels = api.get("channels")
        _, queues = api.get("queues")
        _, exchanges = api.get("exchanges")
        busy = {row["name"] for row in exchanges if "message_stats" in row}
        return (
            all("messages" in row and "memory" in row for row in queues)
            and {"", "topic"} <= busy
            and queue.get("messages_unacknowledged") == 5
            and queue.get("message_stats", {}).get("deliver", 0) > 0
            and len(channels) == 2
            and all({"message_stats", "idle_since"} <= channel.keys() for channel in channels)
        )

    await_value("figures of queues and channels", 60, counted)
    return traffic


def variables(api):
    _, overview = api.get("overview")
    _, connections = api.get("connections")
    name = next(row["name"] for row in connections if row.get("user_provided_name") == "traffic")
    return {"node": overview["node"], "connection": urllib.parse.quote(name, safe="")}


def compare(rabbit_ports, leveret_ports):
    """Number of differences that nobody knows of; prints them."""
    rabbit, leveret = Api(rabbit_ports[1]), Api(leveret_ports[1])
    traffics = [fill(rabbit, rabbit_ports[0]), fill(leveret, leveret_ports[0])]
    known, used, found = known_differences(), set(), 0
    try:
        names = [variables(rabbit), variables(leveret)]
        for path in PATHS:
            (status, theirs), (our_status, ours) = (
                api.get(path.format(**of)) for api, of in zip((rabbit, leveret), names)
            )
            lines = list(differences(path.split("?")[0], theirs, ours))
            if status != our_status:
                lines.insert(0, f"{path}: {status} in RabbitMQ, {our_status} in Leveret")
            for line in dict.fromkeys(lines):
                if not is_known(line, known, used):
                    found += 1
                    print(f"DIFFERENT {path}: {line}")
    finally:
        for traffic in traffics:
            traffic.stop()
    for entry in sorted(known - used):
        found += 1
        print(f"UNUSED {entry}")
    return found
