"""The attack on the HTTP gateway: every request must be answered, and those that cannot be meant by a 4xx."""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final
from urllib.parse import quote

from hostile.mutations import spoil
from hostile.topics import Outcome, Prey, samples_of
from hostile.victim import Victim
from riverrun.api_keys import KeyFile, Scope, key_file_path
from riverrun.embedded.ports import choose_ports

__all__ = ["attack_routes"]

_HOST: Final = "127.0.0.1"
_START_S: Final = 120.0
_ANSWER_S: Final = 20.0
_INCOMPLETE_S: Final = 0.5
_PAUSE_S: Final = 0.25
_CHUNK: Final = 65_536
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSED: Final = "closed: no whole request came"
_LOOK_EVERY: Final = 200
_SERVER_ERROR: Final = 500
_METHODS: Final = ("get", "put", "post", "delete", "patch")
_BODIED: Final = ("post", "put", "patch")

_SEGMENTS: Final = (
    "..",
    "%2e%2e%2f",
    "%00",
    "%ff%fe",
    "a" * 4_000,
    "-1",
    "9" * 40,
    "é",
    "%",
    "{}",
    "null",
    "a%20b",
    "%0d%0aX:1",
)
_QUERIES: Final = (
    "limit=-1",
    "limit=1e9",
    "limit=x",
    "limit=" + "9" * 50,
    "a=%ff",
    "&&&",
    "limit=1&limit=2",
    "=" * 500,
    "%00",
)
_HEADS: Final = (
    "Authorization: Bearer \xff\xfe",
    "Authorization: Basic %%%",
    "Authorization: Bearer " + "k" * 9_000,
    "Content-Type: text/plain",
    "Content-Type: application/json; charset=utf-16",
    "Content-Encoding: gzip",
    "Accept: \x01",
    "X-Filler: " + "f" * 70_000,
    "Transfer-Encoding: chunked",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Expect: 100-continue",
    "Upgrade: websocket",
    "no colon",
    "traceparent: 00-zz-zz-zz",
)


@dataclass(frozen=True, slots=True)
class Route:
    """One route: its method, its path with places for parameters, and good bodies."""

    method: str
    path: str
    bodies: Sequence[bytes]


def attack_routes(prey: Prey, count: int, seed: int, logs: Path) -> Outcome:
    """Send malformed requests to every route of the gateway, among good ones.

    Parameters
    ----------
    prey
        The pipeline.
    count
        How many malformed requests.
    seed
        Of the chance that spoils them.
    logs
        Folder for the gateway's output.

    Raises
    ------
    RuntimeError
        If the gateway does not come up.
    """
    (port,) = choose_ports(1)
    data = Path(prey.environment["RIVERRUN_DATA"])
    key = KeyFile(key_file_path(data)).make("hostile", list(Scope), now=time.time_ns() // 1_000_000, expires=0)
    plenty = {f"RIVERRUN_GATEWAY_{name}": "1000000" for name in ("RATE", "BURST", "GUESSES")}
    own = {**plenty, "RIVERRUN_GATEWAY_PORT": str(port), "RIVERRUN_GATEWAY_BODY_TIMEOUT_S": "1"}
    command = [sys.executable, "-m", "services.gateway", str(prey.file)]
    victim = Victim(command, {**prey.environment, **own}, logs / "gateway.log")
    victim.start()
    outcome, chance = Outcome(tried=count), random.Random(seed)
    try:
        _await_up(victim, port)
        routes = list(
            _routes(prey, json.loads(_answer(port, _request("get", "/openapi.json", key)).partition("\r\n\r\n")[2]))
        )
        for number in range(count):
            answer = _answer(port, _malformed(chance, chance.choice(routes), key))
            status = _status(answer)
            outcome.answers[str(status or answer or "none")] += 1
            outcome.unaccounted += status >= _SERVER_ERROR or (status == 0 and answer != _CLOSED)
            if number % _LOOK_EVERY == 0:
                victim.look()
        alive = [_status(_answer(port, _request("get", path, key))) for path in ("/health/live", "/health/ready")]
    finally:
        victim.stop()
    outcome.crashes = victim.crashes + (alive != [200, 200])
    outcome.peak_rss_mb = victim.peak_rss_mb
    return outcome


def _await_up(victim: Victim, port: int) -> None:
    deadline, pause = time.monotonic() + _START_S, Event()
    while _status(_answer(port, _request("get", "/health/live", ""))) != 200:
        if victim.crashes or time.monotonic() > deadline:
            raise RuntimeError("the gateway does not come up")
        victim.look()
        pause.wait(_PAUSE_S)


def _routes(prey: Prey, document: Mapping[str, Any]) -> Iterator[Route]:
    bodies = [body for each in samples_of(prey).values() for body in each if body.startswith(b"{")]
    for path, operations in document["paths"].items():
        for method in operations.keys() & set(_METHODS):
            content = operations[method].get("requestBody", {}).get("content", {}).get("application/json", {})
            examples = [json.dumps(each["value"]).encode() for each in content.get("examples", {}).values()]
            if "example" in content:
                examples.append(json.dumps(content["example"]).encode())
            yield Route(method, path, [*bodies, *examples] if method in _BODIED else [])


def _malformed(chance: random.Random, route: Route, key: str) -> bytes:
    """Return a request that is wrong in its path, query, head or body, or is no request at all."""
    path, query, heads, body = _filled(chance, route.path, 0.1), "", [], chance.choice(route.bodies or [b""])
    wrong = chance.choice(("path", "query", "head", "body", "body") * 3 + ("method", "bytes"))
    if wrong == "path":
        path = _filled(chance, route.path, 1.0)
    elif wrong == "query":
        query = "?" + chance.choice(_QUERIES)
    elif wrong == "head":
        heads = [chance.choice(_HEADS)]
    elif wrong == "body":
        body = spoil(chance, route.bodies or [b"{}"]).value
    method = (
        chance.choice(("BREW", "get", "TRACE", "CONNECT", "X" * 300)) if wrong == "method" else route.method.upper()
    )
    if chance.random() < 0.05:
        key = chance.choice(("", "rr.x.y", "\x7f" * 40))
    request = _request(method, path + query, key, body, heads)
    return spoil(chance, [request]).value[:70_000] if wrong == "bytes" else request


def _filled(chance: random.Random, path: str, rate: float) -> str:
    segments = []
    for segment in path.split("/"):
        if segment.startswith("{") or (segment and chance.random() < rate / 3):
            good = {"{pipeline}": "prey", "{stream}": "shipped", "{model}": "logistic"}.get(segment, "1")
            segments.append(quote(chance.choice(_SEGMENTS), safe="%{}") if chance.random() < rate else good)
        else:
            segments.append(segment)
    return "/".join(segments)


def _request(method: str, target: str, key: str, body: bytes = b"", heads: Sequence[str] = ()) -> bytes:
    lines = [
        f"{method.upper() if method.islower() else method} {target} HTTP/1.1",
        f"Host: {_HOST}",
        "Connection: close",
    ]
    given = {head.partition(":")[0] for head in heads}
    if key and "Authorization" not in given:
        lines.append(f"Authorization: Bearer {key}")
    if body and "Content-Type" not in given:
        lines.append("Content-Type: application/json")
    if not given & {"Content-Length", "Transfer-Encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, *heads, "", ""]).encode("latin-1", "replace") + body


def _answer(port: int, request: bytes) -> str:
    """Return the answer, or ``_CLOSED`` if the connection was closed without one; nothing if it hangs.

    A request that is cut short gets no answer while more of it could come. So if there is none for a while, the gateway
    is told that nothing will come any more.
    """
    received = b""
    try:
        with socket.create_connection((_HOST, port), _ANSWER_S) as line:
            # It may be refused before it was all sent: the answer is there all the same.
            with suppress(OSError):
                line.sendall(request)
            line.settimeout(_INCOMPLETE_S)
            try:
                received = line.recv(_CHUNK)
            except TimeoutError:
                line.settimeout(_ANSWER_S)
                line.shutdown(socket.SHUT_WR)
                received = line.recv(_CHUNK)
            line.settimeout(_ANSWER_S)
            while not _is_live(received) and (part := line.recv(_CHUNK)):
                received += part
    except TimeoutError:
        return _final(received).decode("latin-1")
    except OSError:
        # It was reset, with what was not read of the request: what came before that counts.
        return _final(received).decode("latin-1") or _CLOSED
    return _final(received).decode("latin-1") or _CLOSED


def _final(received: bytes) -> bytes:
    """Return the answer without the leave to go on that may come before it."""
    return received.removeprefix(_CONTINUE)


def _is_live(received: bytes) -> bool:
    """Tell whether this is an answer without an end."""
    return b"text/event-stream" in _final(received).partition(b"\r\n\r\n")[0]


def _status(answer: str) -> int:
    """Return an answer's status, 0 for none."""
    words = answer.split(" ", 2)
    return int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/1") and words[1].isdecimal() else 0
