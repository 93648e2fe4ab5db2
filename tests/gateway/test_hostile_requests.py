"""Hostile requests on every route that takes a body, and below HTTP: a 4xx problem document each, and no harm done."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from riverrun.launch.session import Session
from services.gateway import server
from services.gateway.settings import GatewaySettings
from tests.gateway.world import NAME, PREDICT, GatewayWorld, RunningGateway

ROUTES = (
    ("POST", PREDICT),
    ("POST", "/v1/streams/asked"),
    ("PUT", f"/v1/pipelines/{NAME}/subscriptions/hostile"),
    ("POST", f"/v1/pipelines/{NAME}/dead-letters/replay"),
    ("POST", f"/v1/pipelines/{NAME}/alerts/a1/acknowledge"),
)
GOOD = b'"who":"w","place":"x","at":1,"size":'
BODIES = {
    "nothing": b"",
    "spaces": b" " * 10_000,
    "null": b"null",
    "a text": b'"text"',
    "a number": b"1e999999",
    "deep lists": b"[" * 200_000,
    "deep closed lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep in a member": b'{"who":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a huge text": b'{"who":"' + b"x" * 900_000 + b'"}',
    "many members": b"{" + b",".join(b'"m%d":1' % n for n in range(50_000)) + b"}",
    "a member twice": b"{" + GOOD + b'1,"size":2}',
    "NaN": b"{" + GOOD + b"NaN}",
    "infinity": b"{" + GOOD + b"-Infinity}",
    "an overflow": b"{" + GOOD + b"1e400}",
    "a million digits": b"{" + GOOD + b"9" * 1_000_000 + b"}",
    "no UTF-8": b'{"who":"\xff\xfe\xfa"}',
    "half a character": b'{"who":"\xf0\x9f"}',
    "half a surrogate": rb'{"who":"\ud800","place":"x","at":1,"size":1.0}',
    "UTF-16": json.dumps({"who": "w"}).encode("utf-16"),
    "cut short": b'{"who":"w","pl',
    "trailing": b'{"who":"w"} {"who":"w"}',
    "a wrong type": b'{"who":{"$gt":""},"place":"x","at":1,"size":1.0}',
    "a time beyond all": b'{"who":"w","place":"x","at":99999999999999999,"size":1.0}',
    "too many events": b"[" + b",".join([b"{}"] * 1_001) + b"]",
    "one event bad of two": b"[{" + GOOD + b"1.0},{}]",
    "Avro": b"\x00\x00\x00\x00\x01\x02\x02",
    "zip bytes": b"PK\x03\x04" + bytes(1_000),
}


def _is_problem(status: int, document: object) -> bool:
    return (
        400 <= status < 500
        and isinstance(document, dict)
        and document["status"] == status
        and document["type"].startswith("urn:riverrun:problem:")
        and "Traceback" not in json.dumps(document)
    )


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_hostile_bodies_are_refused(world: GatewayWorld, body: bytes) -> None:
    """None of them is answered by anything but a problem document with a 4xx, on any route that takes a body."""
    for method, path in ROUTES:
        reply = world.ask(method, path, body)
        assert _is_problem(reply.status, reply.document), (path, reply)
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404),
        ("GET", "/v1/pipelines/other/models", 404),
        ("POST", "/v1/pipelines/other/predict", 404),
        ("POST", "/v1/streams/other", 404),
        ("POST", "/v1/streams/..%2f..%2fetc%2fpasswd", 404),
        ("GET", f"/v1/pipelines/{NAME}/models/{'x' * 5_000}", 404),
        ("GET", f"/v1/pipelines/{NAME}/models/%00%ff", 404),
        ("GET", f"/v1/pipelines/{NAME}/evaluations?limit=100000000000000000000000", 422),
        ("GET", f"/v1/pipelines/{NAME}/dead-letters?reason=%27%3B--", 422),
        ("GET", f"/v1/pipelines/{NAME}/models?limit=1_0", 422),
        ("GET", f"/v1/pipelines/{NAME}/models?limit=%20+1", 422),
        ("GET", f"/v1/pipelines/{NAME}/alerts?after=1.0", 422),
        ("GET", "/registry/schemas/ids/1_0", 422),
        ("GET", "/metrics%0a", 404),
        ("GET", "/registry/schemas/ids/99999999999999999999", 422),
        ("GET", "/registry/subjects/a/versions/-1", 422),
        ("DELETE", PREDICT, 405),
        ("PATCH", f"/v1/pipelines/{NAME}/subscriptions/a", 405),
        ("TRACE", "/metrics", 405),
    ],
)
def test_hostile_paths_are_refused(world: GatewayWorld, method: str, path: str, status: int) -> None:
    """Unknown, overlong and odd paths and parameters are problems; a 405 says what is allowed."""
    reply = world.ask(method, path)
    assert reply.status == status, reply
    assert _is_problem(reply.status, reply.document)
    if status == 405:
        assert reply.headers["allow"]


def test_a_path_with_several_methods_names_all_of_them(world: GatewayWorld) -> None:
    """``Allow`` lists the methods of all routes of a path, not of the first alone."""
    reply = world.ask("POST", f"/v1/pipelines/{NAME}/subscriptions/a")
    assert (reply.status, reply.headers["allow"]) == (405, "DELETE, PUT")


def test_only_json_is_taken(world: GatewayWorld) -> None:
    """A body of another type, or of none, is refused with 415, whatever route it is for."""
    kinds = (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/problem+json")
    for method, path in ROUTES:
        for kind in kinds:
            head = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {world.key}", "Content-Length: 2"]
            if kind is not None:
                head.append(f"Content-Type: {kind}")
            assert _talk(world, "\r\n".join([*head, "Connection: close", "", "{}"]).encode())[0] == 415, path


GOOD_SUBSCRIPTION = '"channel":"apprise","secret":"A"'
NOT_JSON = {
    "NaN": b'{%b,"note":NaN}',
    "infinity": b'{%b,"note":-Infinity}',
    "a byte order mark": b"\xef\xbb\xbf{%b}",
    "half a surrogate": rb'{%b,"note":"\ud800"}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_documents_are_held_to_json_as_events_are(world: GatewayWorld, body: bytes) -> None:
    """What Python's own parser takes and JSON does not allow is refused, though it is in a member nobody reads."""
    path = f"/v1/pipelines/{NAME}/subscriptions/hostile"
    reply = world.ask("PUT", path, body.replace(b"%b", GOOD_SUBSCRIPTION.encode()))
    assert (reply.status, _is_problem(reply.status, reply.document)) == (400, True)


def test_a_document_that_does_not_come_is_not_waited_for(world: GatewayWorld) -> None:
    """The limit of time counts on routes that take documents as on those that take events, if nothing comes at all."""
    bounds = GatewaySettings(port=0, body_timeout_s=1)
    hurried = RunningGateway(Session(world.deployment, world.addresses), world.settings, bounds)
    try:
        for method, path in ROUTES:
            head = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {world.key}", "Content-Length: 9"]
            for begun in (b"", b"{"):
                sent = "\r\n".join([*head, "Content-Type: application/json", "", ""]).encode() + begun
                received = b"".join(_chunks(hurried.port, sent))
                status, document = _parsed(received)
                assert (status, _is_problem(status, document)) == (400, True), path
    finally:
        hurried.close()


def test_documents_are_objects_in_utf_8_whose_members_come_once(world: GatewayWorld) -> None:
    """Another encoding is no JSON; of two members of one name nobody can say which counts."""
    path = f"/v1/pipelines/{NAME}/subscriptions/hostile"
    good = "{" + GOOD_SUBSCRIPTION + "}"
    assert world.ask("PUT", path, good.encode()).status == 202
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        assert world.ask("PUT", path, good.encode(encoding)).status == 400
    twice = world.ask("PUT", path, good[:-1].encode() + b',"secret":"B"}')
    assert (twice.status, twice.document["reason"]) == (422, "duplicate_field")


RAW = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "an old version": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 400),
    "a new version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
    "an odd method": (b"GETT / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a bad header": (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    "a bad length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a long header in one piece": (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 33_000 + b"\r\n\r\n", 431),
    "a long path in one piece": (b"GET /" + b"x" * 33_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    "a long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 600_000 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(60_000)) + b"\r\n", 431),
}


@pytest.mark.parametrize(("sent", "status"), RAW.values(), ids=RAW.keys())
def test_what_is_no_request_gets_a_problem_too(world: GatewayWorld, sent: bytes, status: int) -> None:
    """Below HTTP errors are problem documents as well; endless headers end with 431."""
    found, document = _talk(world, sent)
    assert found == status
    assert _is_problem(found, document)


def test_a_head_that_does_not_come_is_not_waited_for(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing is hung up on in the end, who stops within a head is told so soon; who has said all, or keeps a
    connection in reserve, is not hurried.
    """
    monkeypatch.setattr(server, "HEAD_S", 0.3)
    monkeypatch.setattr(server, "SILENT_S", 3.0)
    assert _all(world, b"") == b""
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=20) as reserve:
        threading.Event().wait(0.9)
        reserve.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reserve.recv(100).startswith(b"HTTP/1.1 200 ")
    good = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    for sent, answers in ((b"GET /heal", 1), (b"GET / HTTP/1.1\r\nHost: a\r\nX", 1), (good + b"GET /", 2)):
        received = _all(world, sent)
        assert received.count(b"HTTP/1.1 ") == answers
        assert received.rpartition(b"HTTP/1.1 ")[2].startswith(b"400 ")
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=20) as connection:
        for part in (good[:9], good[9:]):
            connection.sendall(part)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        threading.Event().wait(0.6)
        connection.sendall(good)
        assert connection.recv(65_536)


def _all(world: GatewayWorld, sent: bytes) -> bytes:
    """Send bytes; return all that comes until the gateway hangs up."""
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=10) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("length", ["1048577", "999999999999999999", "9" * 400])
def test_an_announced_bomb_is_refused_before_it_comes(world: GatewayWorld, length: str) -> None:
    """A body that says it is too long is not waited for."""
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {world.key}\r\n"
    found, document = _talk(world, f"{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode())
    assert found in ((413,) if len(length) < 20 else (400, 413))
    assert _is_problem(found, document)


def test_a_body_of_unknown_length_is_counted(world: GatewayWorld) -> None:
    """A body in chunks is ended when it has become too long, and a short one is taken."""
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {world.key}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    found, document = _talk(world, head.encode() + chunk * 17)
    assert (found, _is_problem(found, document)) == (413, True)
    event = b"{" + GOOD + b"1.0}"
    found, document = _talk(world, head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event))
    assert found == 200, document


def test_it_lives_after_all_of_it(world: GatewayWorld) -> None:
    """None of that was our fault: no response was a 500, and the gateway is ready."""
    metrics = world.ask("GET", "/metrics").document
    assert 'status="500"' not in metrics
    assert 'status="400"' in metrics
    assert world.ask("GET", "/health/ready").document == {"status": "ready", "troubles": {}}


def _talk(world: GatewayWorld, sent: bytes) -> tuple[int, object]:
    """Send bytes; return status and document of what comes back."""
    return _parsed(b"".join(_chunks(world.gateway.port, sent)))


def _parsed(received: bytes) -> tuple[int, object]:
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)


def _chunks(port: int, sent: bytes) -> Iterator[bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        # It may have answered, and hung up, before it has all.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        wanted, received = -1, b""
        while wanted < 0 or len(received) < wanted:
            try:
                chunk = connection.recv(65_536)
            except ConnectionResetError:
                return
            if not chunk:
                return
            received += chunk
            yield chunk
            head, end, _ = received.partition(b"\r\n\r\n")
            if end:
                at = head.lower().find(b"content-length:")
                wanted = len(head) + 4 + int(head[at + 15 :].split(b"\r\n")[0])
