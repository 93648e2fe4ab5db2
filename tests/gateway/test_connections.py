"""Connections: how many there may be, and how long each may be held by who says too little or listens to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway import server
from services.gateway.gate import read_body
from services.gateway.problems import Problem, respond
from services.gateway.settings import GatewaySettings
from tests.gateway.serving import Served, everything, problem, serving
from tests.gateway.world import until

BOUND_S = 1
LARGE = bytes(1_000_000)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Say how long the body was; at one path wait before, at another answer at length."""
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/slow":
        await asyncio.sleep(BOUND_S * 2)
    try:
        found = LARGE if path == "/large" else b"%d" % len(await read_body(receive))
        response = Response(found)
    except Problem as found_wrong:
        response = respond(found_wrong)
    await response(scope, receive, send)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A gate that bears little, before this application."""
    settings = GatewaySettings(port=0, body_timeout_s=BOUND_S, max_concurrent=4, max_connections=8, guesses=1_000_000)
    with serving(tmp_path, app, settings) as made:
        yield made


@pytest.mark.parametrize("begun", [b"", b"{", b"{    "], ids=["nothing", "the first byte", "all but one"])
def test_a_body_that_does_not_come_is_not_waited_for(served: Served, begun: bytes) -> None:
    """Nothing of it came, or some: its time ends for all of it, who sent it is told, and it is in work no more."""
    began = time.monotonic()
    status, detail = problem(served.says(served.head("POST", "/x", "Content-Length: 6") + begun))
    assert (status, detail) == (400, "the body did not come in within 1 s")
    assert BOUND_S * 0.9 < time.monotonic() - began < BOUND_S + 10
    until(lambda: served.tally.in_work == 0, "nothing is in work")


def test_a_body_that_comes_in_bits_is_not_given_more_time(served: Served) -> None:
    """Each byte does not begin the time anew, be it that the request was refused long before and nobody reads it."""
    for key, statuses in ((None, [b"400"]), ("wrong", [b"401"])):
        with served.connect() as connection:
            connection.sendall(served.head("POST", "/x", "Content-Length: 100000", key=key))
            began = time.monotonic()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while time.monotonic() - began < 20:
                    connection.sendall(b" ")
                    threading.Event().wait(0.05)
            assert time.monotonic() - began < 10
            received = everything(connection)
        assert [each[:3] for each in received.split(b"HTTP/1.1 ")[1:]] in (statuses, [])


def test_a_body_that_is_not_read_yet_is_not_late(served: Served) -> None:
    """What lies unread because the application takes its time, or answers another, is not held against its sender."""
    body = bytes(900_000)
    one = served.head("POST", "/slow", f"Content-Length: {len(body)}") + body
    two = served.head("POST", "/x", f"Content-Length: {len(body)}", "Connection: close") + body
    received = served.says(one + two)
    assert received.count(b"HTTP/1.1 200 ") == received.count(b"900000") == 2


def test_unfinished_bodies_do_not_hide_whether_it_lives(served: Served) -> None:
    """While they fill the gateway others with a key are refused, but health is asked as before; then all is well."""
    waiting = [served.connect() for _ in range(4)]
    for each in waiting:
        each.sendall(served.head("POST", "/x", "Content-Length: 5"))
    until(lambda: served.tally.in_work == 4, "all are in work")
    assert problem(served.says(served.head("POST", "/x", "Connection: close")))[0] == 503
    health = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert served.says(health).startswith(b"HTTP/1.1 200 ")
    assert [problem(everything(each))[0] for each in waiting] == [400] * 4
    for each in waiting:
        each.close()
    assert served.says(served.head("POST", "/x", "Connection: close")).startswith(b"HTTP/1.1 200 ")


def test_strangers_cannot_hold_connections_without_end(served: Served) -> None:
    """As many as are allowed may be silent; the next is told so and hung up on; once one goes, there is room again."""
    silent = [served.connect() for _ in range(8)]
    extra = problem(served.says(b""))
    assert extra == (503, "too many connections are open")
    silent[0].close()
    health = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    until(lambda: served.says(health).startswith(b"HTTP/1.1 200 "), "there is room again")
    for each in silent:
        each.close()


def test_an_empty_line_is_not_the_beginning_of_a_request(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was answered, and says nothing but line ends since, is as silent as who says nothing at all."""
    monkeypatch.setattr(server, "SILENT_S", 1.0)
    with served.connect() as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\r\n")
        began = time.monotonic()
        assert everything(connection) == b""
    assert time.monotonic() - began < 15


def test_who_does_not_listen_is_hung_up_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are not fetched hold neither a connection nor a place in the gateway."""
    monkeypatch.setattr(server, "SILENT_S", 1.0)
    with served.connect() as deaf:
        deaf.sendall(served.head("GET", "/large") * 12)
        until(lambda: served.tally.in_work == 1, "an answer waits to be fetched")
        until(lambda: served.tally.in_work == 0, "it waits no longer")
        received = everything(deaf)
    assert received.count(b"HTTP/1.1 200 ") < 12
