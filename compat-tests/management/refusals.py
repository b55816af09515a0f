"""What makes no sense, asked of both brokers: status and answer must be the same, but for what `refusals.txt` names."""

import base64
import http.client
import json
import pathlib

LONG = "n" * 255
TOO_LONG = "n" * 256

# Method, path below /api, body: an object, or octets as they are.
REQUESTS = [
    # Bodies that are none, or of a wrong type.
    ("PUT", "/queues/%2F/bad", b"{"),
    ("PUT", "/queues/%2F/bad", b"[]"),
    ("PUT", "/queues/%2F/bad", b"\"{}\""),
    ("PUT", "/queues/%2F/bad", b"1"),
    ("PUT", "/queues/%2F/bad", b"\xff\xfe"),
    ("PUT", "/queues/%2F/bad", {"durable": "troo"}),
    ("PUT", "/queues/%2F/bad", {"durable": 1}),
    ("PUT", "/queues/%2F/bad", {"arguments": 5}),
    ("PUT", "/queues/%2F/bad", {"arguments": "x"}),
    ("PUT", "/queues/%2F/bad", {"durable": True, "arguments": {"x-max-length": "ten"}}),
    ("PUT", "/queues/%2F/bad", {"durable": True, "arguments": {"x-max-length": -1}}),
    ("PUT", "/queues/%2F/bad", {"durable": True, "arguments": {"x-queue-type": "none"}}),
    ("PUT", "/queues/%2F/bad", {"durable": True, "arguments": {"x-message-ttl": 1.5}}),
    ("PUT", "/queues/%2F/bad", {"durable": True, "node": "nobody@nowhere"}),
    ("PUT", "/queues/%2F/amq.bad", {}),
    ("PUT", "/queues/%2F/there", {"durable": False}),
    ("PUT", "/queues/nowhere/bad", {}),
    ("PUT", "/exchanges/%2F/bad", {"type": "no-such-type"}),
    ("PUT", "/exchanges/%2F/bad", {"type": "topic", "durable": "troo"}),
    ("PUT", "/exchanges/%2F/amq.bad", {"type": "direct"}),
    ("PUT", "/exchanges/%2F/amq.direct", {"type": "topic", "durable": True}),
    ("PUT", "/exchanges/nowhere/bad", {"type": "direct"}),
    ("DELETE", "/exchanges/%2F/amq.direct", None),
    ("DELETE", "/exchanges/%2F/amq.default", None),
    # Names.
    ("PUT", f"/queues/%2F/{TOO_LONG}", {}),
    ("PUT", f"/exchanges/%2F/{TOO_LONG}", {"type": "direct"}),
    ("PUT", f"/queues/%2F/{LONG}", {}),
    ("DELETE", f"/queues/%2F/{LONG}", None),
    ("PUT", "/queues/%2F/a%2Fb%25c%20d", {}),
    ("GET", "/queues/%2F/a%2Fb%25c%20d?columns=name,vhost", None),
    ("DELETE", "/queues/%2F/a%2Fb%25c%20d", None),
    ("PUT", "/queues/%2F/%C3%BC%E2%82%AC%F0%9F%90%87", {}),
    ("GET", "/queues/%2F/%C3%BC%E2%82%AC%F0%9F%90%87?columns=name,vhost", None),
    ("DELETE", "/queues/%2F/%C3%BC%E2%82%AC%F0%9F%90%87", None),
    ("GET", "/queues/%2F/%ff", None),
    ("GET", "/queues/%2F/%zz", None),
    ("GET", "/queues/%2F/%", None),
    ("GET", "/queues//there", None),
    ("GET", "/queues//", None),
    ("GET", "/queues/%2F//", None),
    # Where nothing is.
    ("GET", "/queues/nowhere", None),
    ("GET", "/queues/nowhere/there", None),
    ("GET", "/queues/%2F/none", None),
    ("DELETE", "/queues/%2F/none", None),
    ("DELETE", "/queues/%2F/none/contents", None),
    ("GET", "/queues/%2F/none/bindings", None),
    ("GET", "/exchanges/nowhere", None),
    ("GET", "/exchanges/%2F/none", None),
    ("DELETE", "/exchanges/%2F/none", None),
    ("GET", "/bindings/nowhere", None),
    ("GET", "/bindings/%2F/e/none/q/there", None),
    ("GET", "/bindings/%2F/e/amq.direct/q/there/none", None),
    ("DELETE", "/bindings/%2F/e/amq.direct/q/there/none", None),
    ("POST", "/bindings/%2F/e/none/q/there", {}),
    ("POST", "/bindings/%2F/e/amq.direct/q/none", {}),
    ("POST", "/bindings/%2F/e/amq.direct/q/there", {"arguments": 5}),
    ("POST", "/bindings/nowhere/e/amq.direct/q/there", {}),
    ("GET", "/vhosts/nowhere", None),
    ("DELETE", "/vhosts/nowhere", None),
    ("GET", "/vhosts/nowhere/permissions", None),
    ("GET", "/users/nobody", None),
    ("DELETE", "/users/nobody", None),
    ("GET", "/users/nobody/permissions", None),
    ("GET", "/permissions/%2F/nobody", None),
    ("DELETE", "/permissions/%2F/nobody", None),
    ("GET", "/connections/none", None),
    ("DELETE", "/connections/none", None),
    ("GET", "/channels/none", None),
    ("GET", "/nodes/none", None),
    ("GET", "/policies/nowhere", None),
    ("GET", "/policies/%2F/none", None),
    ("DELETE", "/policies/%2F/none", None),
    ("GET", "/parameters/none/nowhere", None),
    ("GET", "/global-parameters/none", None),
    ("DELETE", "/global-parameters/none", None),
    ("GET", "/nothing", None),
    # Methods.
    ("POST", "/queues", {}),
    ("DELETE", "/overview", None),
    ("PUT", "/whoami", {}),
    ("PATCH", "/queues/%2F/there", {}),
    # Users, permissions, limits, policies, parameters.
    ("PUT", "/users/bad", {}),
    ("PUT", "/users/bad", {"tags": 5}),
    ("PUT", "/users/bad", {"password": "p", "password_hash": "x", "tags": ""}),
    ("PUT", "/users/bad", {"password_hash": "not a hash", "tags": ""}),
    ("PUT", "/users/bad", {"password": "", "tags": ""}),
    ("PUT", "/permissions/%2F/nobody", {"configure": "", "write": "", "read": ""}),
    ("PUT", "/permissions/nowhere/guest", {"configure": "", "write": "", "read": ""}),
    ("PUT", "/permissions/%2F/guest", {"configure": ""}),
    ("PUT", "/permissions/%2F/guest", {"configure": "[", "write": "", "read": ""}),
    ("PUT", "/topic-permissions/%2F/nobody", {"exchange": "", "write": "", "read": ""}),
    ("PUT", "/topic-permissions/%2F/guest", {"exchange": ""}),
    ("PUT", "/vhost-limits/%2F/max-none", {"value": 1}),
    ("PUT", "/vhost-limits/%2F/max-queues", {}),
    ("PUT", "/vhost-limits/%2F/max-queues", {"value": "many"}),
    ("PUT", "/vhost-limits/nowhere/max-queues", {"value": 1}),
    ("PUT", "/user-limits/nobody/max-channels", {"value": 1}),
    ("PUT", "/user-limits/guest/max-none", {"value": 1}),
    ("PUT", "/policies/%2F/bad", {}),
    ("PUT", "/policies/%2F/bad", {"pattern": "x"}),
    ("PUT", "/policies/%2F/bad", {"pattern": "x", "definition": {}}),
    ("PUT", "/policies/%2F/bad", {"pattern": "x", "definition": {"none": 1}}),
    ("PUT", "/policies/%2F/bad", {"pattern": "x", "definition": {"max-length": "ten"}}),
    ("PUT", "/policies/%2F/bad", {"pattern": "x", "definition": {"max-length": 1}, "priority": "high"}),
    ("PUT", "/policies/%2F/bad", {"pattern": "x", "definition": {"max-length": 1}, "apply-to": "none"}),
    ("PUT", "/policies/nowhere/bad", {"pattern": "x", "definition": {"max-length": 1}}),
    ("PUT", "/operator-policies/%2F/bad", {"pattern": "x", "definition": {"alternate-exchange": "x"}}),
    ("PUT", "/parameters/none/%2F/bad", {"value": {}}),
    ("PUT", "/parameters/none/%2F/bad", {}),
    ("PUT", "/parameters/none/nowhere/bad", {"value": {}}),
    ("PUT", "/global-parameters/bad", {}),
    ("PUT", "/cluster-name", {}),
    # Messages.
    ("POST", "/exchanges/%2F/amq.default/publish", {}),
    ("POST", "/exchanges/%2F/none/publish", {"routing_key": "", "properties": {}, "payload": "", "payload_encoding": "string"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "there", "properties": {}, "payload": 5, "payload_encoding": "string"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "there", "properties": {}, "payload": "%", "payload_encoding": "base64"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "there", "properties": {}, "payload": "", "payload_encoding": "base99"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "there", "properties": {"priority": "high"}, "payload": "", "payload_encoding": "string"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "there", "properties": {"timestamp": "now"}, "payload": "", "payload_encoding": "string"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "there", "properties": {"expiration": 5}, "payload": "", "payload_encoding": "string"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "there", "properties": {"user_id": "other"}, "payload": "", "payload_encoding": "string"}),
    ("POST", "/exchanges/%2F/amq.default/publish", {"routing_key": "nowhere", "properties": {}, "payload": "", "payload_encoding": "string"}),
    ("POST", "/queues/%2F/there/get", {}),
    ("POST", "/queues/%2F/none/get", {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}),
    ("POST", "/queues/%2F/there/get", {"count": "x", "ackmode": "ack_requeue_true", "encoding": "auto"}),
    ("POST", "/queues/%2F/there/get", {"count": 1, "ackmode": "none", "encoding": "auto"}),
    ("POST", "/queues/%2F/there/get", {"count": 1, "ackmode": "ack_requeue_true", "encoding": "none"}),
    ("POST", "/queues/%2F/there/get", {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": "x"}),
    ("POST", "/queues/%2F/there/get", {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}),
    ("POST", "/queues/%2F/there/actions", {"action": "none"}),
    ("POST", "/queues/%2F/there/actions", {}),
    # Lists.
    ("GET", "/queues?page=0", None),
    ("GET", "/queues?page=x", None),
    ("GET", "/queues?page=1000&name=there", None),
    ("GET", "/queues?page=1&page_size=501", None),
    ("GET", "/queues?page=1&page_size=-1", None),
    ("GET", "/queues?page=1&name=%5B&use_regex=true&columns=name", None),
    ("GET", "/queues/%2F/there?lengths_age=x&lengths_incr=5&columns=name", None),
    # Definitions.
    ("POST", "/definitions", b"{"),
    ("POST", "/definitions", b"[]"),
    ("POST", "/definitions/nowhere", {}),
    ("POST", "/definitions", {"exchanges": [{"name": "bad", "vhost": "/", "type": "no-such-type", "durable": True, "auto_delete": False, "arguments": {}}]}),
    ("GET", "/definitions/nowhere", None),
    # Health.
    ("GET", "/health/checks/port-listener/x", None),
    ("GET", "/health/checks/certificate-expiration/two/weeks", None),
    ("GET", "/health/checks/certificate-expiration/1/week", None),
    ("GET", "/aliveness-test/nowhere", None),
]

AUTHORIZATION = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}


def ask(port, method, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    connection.request(method, "/api" + path, body, AUTHORIZATION | {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    try:
        return answer.status, json.loads(text) if text else ""
    except ValueError:
        return answer.status, text


def shown(answer):
    status, body = answer
    if isinstance(body, dict) and "reason" in body:
        body = f"{body.get('error', body.get('status'))}: {json.dumps(body['reason'], ensure_ascii=False)}"
    return f"{status} {body if isinstance(body, str) else json.dumps(body)}".strip()


def known():
    """`METHOD PATH BODY: reason` a line."""
    path = pathlib.Path(__file__).with_name("refusals.txt")
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(" => ", 1) for line in lines)


def compare(rabbit, leveret):
    """How many requests are answered in another way than by RabbitMQ, without a reason."""
    reasons, failed = known(), 0
    for port in (rabbit, leveret):
        ask(port, "PUT", "/queues/%2F/there", {"durable": True})
    for method, path, body in REQUESTS:
        body_text = body.decode(errors="backslashreplace") if isinstance(body, bytes) else json.dumps(body) if body is not None else ""
        name = f"{method} {path} {body_text}".replace(TOO_LONG, "TOO-LONG").replace(LONG, "LONG").strip()
        answers = [shown(ask(port, method, path, body)).replace(TOO_LONG, "TOO-LONG") for port in (rabbit, leveret)]
        if answers[0] == answers[1]:
            if reasons.pop(name, None):
                print(f"FAILED {name}: the same now, leave it out of refusals.txt")
                failed += 1
        elif reasons.pop(name, None) is None:
            print(f"FAILED {name}\n    RabbitMQ: {answers[0]}\n    Leveret:  {answers[1]}")
            failed += 1
    for name in reasons:
        print(f"FAILED refusals.txt names a request that nobody makes: {name}")
        failed += 1
    return failed
