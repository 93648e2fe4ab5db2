"""A gate on a real port, before an application of the test's own: what HTTP itself does, without Kafka."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop
from starlette.types import ASGIApp

from riverrun.api_keys import KeyChecker, KeyFile, Scope
from services.gateway.gate import Gate, Tally
from services.gateway.server import configure
from services.gateway.settings import GatewaySettings
from tests.gateway.world import until

TIMEOUT_S = 20.0


class Served:
    """A gate that is being served, and a key for it."""

    def __init__(self, port: int, key: str, tally: Tally) -> None:
        self.port = port
        self.key = key
        self.tally = tally

    def connect(self) -> socket.socket:
        """Return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def head(self, method: str, path: str, *more: str, key: str | None = None) -> bytes:
        """Return a request's head, with the key if no other is given."""
        lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {key or self.key}", *more]
        return "\r\n".join([*lines, "", ""]).encode()

    def says(self, sent: bytes) -> bytes:
        """Send bytes; return all that comes until it hangs up."""
        with self.connect() as connection:
            connection.sendall(sent)
            return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """Return all that comes until the other side hangs up."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return received


def problem(received: bytes) -> tuple[int, str]:
    """Return status and detail of the one problem document that came."""
    head, _, body = received.partition(b"\r\n\r\n")
    document = json.loads(body)
    assert document["status"] == int(head.split(b" ", 2)[1])
    assert b"application/problem+json" in head
    return document["status"], document.get("detail", "")


@contextmanager
def serving(folder: Path, app: ASGIApp, settings: GatewaySettings) -> Iterator[Served]:
    """Serve an application behind a gate, at a port that is free."""
    file, tally = KeyFile(folder / "keys.json"), Tally()
    key = file.make("one", list(Scope), now=1)
    server = uvicorn.Server(configure(Gate(app, KeyChecker(file), settings, tally), settings))
    thread = threading.Thread(target=lambda: uvloop.run(server.serve()), name="gate", daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive(), "the gate is served")
    try:
        yield Served(int(server.servers[0].sockets[0].getsockname()[1]), key, tally)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()
