"""A small HTTP endpoint of a process: ``/health/live``, ``/health/ready`` and ``/metrics``."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from socket import socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Final

from riverrun.errors import SettingsError
from riverrun.telemetry.exposition import CONTENT_TYPE
from riverrun.telemetry.health import Report
from riverrun.telemetry.request_head import HEAD_END, MOST_HEAD, Asked, HeadError, parse_head
from riverrun.telemetry.settings import HEALTH_HOST, HEALTH_PORT, HealthSettings

__all__ = ["HealthEndpoint"]

_LOG: Final = logging.getLogger("riverrun.health")
_TIMEOUT_S: Final = 5.0
_AT_ONCE: Final = 16
"""Requests answered at the same time; more are hung up on, so that no stranger can fill the process with threads."""

_CHUNK: Final = 4_096
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
"""With or without carriage returns: a head whose lines end without is refused, and at once."""
_METHODS: Final = ("GET", "HEAD")
_JSON: Final = "application/json"

Answer = tuple[HTTPStatus, str, bytes]
Route = Callable[[], Answer]


def _json(report: Report) -> Answer:
    status = HTTPStatus.OK if report.well else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _JSON, json.dumps(report.document, ensure_ascii=False).encode()


def _refused(status: HTTPStatus, why: str, **rest: object) -> Answer:
    return status, _JSON, json.dumps({"error": why, **rest}).encode()


class HealthEndpoint:
    """Serves health and metrics until it is closed.

    It tells strangers nothing secret, and has no other guard than the address it listens on: loopback, unless the
    settings say otherwise.

    Parameters
    ----------
    settings
        Where to listen.
    live, ready
        Give the reports.
    metrics
        Gives the metrics as text.

    Raises
    ------
    SettingsError
        If the address cannot be listened on.
    """

    def __init__(
        self,
        settings: HealthSettings,
        live: Callable[[], Report],
        ready: Callable[[], Report],
        metrics: Callable[[], str],
    ) -> None:
        routes: dict[str, Route] = {
            "/health/live": lambda: _json(live()),
            "/health/ready": lambda: _json(ready()),
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE, metrics().encode()),
        }
        try:
            self._server = _Server((settings.host, settings.port), routes)
        except OSError as error:
            raise SettingsError(
                f"health cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
                hint=f"set {HEALTH_PORT} to a free port (0 finds one) and {HEALTH_HOST} to an address of this machine",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="riverrun-health", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Begin to answer, and log where."""
        self._thread.start()
        _LOG.info("health and metrics at %s", self.url)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], routes: dict[str, Route]) -> None:
        self.routes = routes
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Answer in a thread, if there is one free."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Answer, then set the thread free."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Note that an answer failed: a client that goes away is no error of ours."""
        del request
        _LOG.debug("no answer to %s", client_address, exc_info=True)


class _Handler(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer one request; whoever hangs up, or does not get on with it, gets no answer."""
        try:
            head = self._head()
            if head is None:
                return
            asked = parse_head(head)
            self._say(self._found(asked), with_body=asked.method != "HEAD")
        except HeadError as error:
            self._say(_refused(error.status, str(error)))

    def _head(self) -> bytes | None:
        """Return what comes before the empty line; None if that does not come, or not in time."""
        line: socket = self.request
        deadline, received = time.monotonic() + _TIMEOUT_S, b""
        while _EMPTY_LINE.search(received) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            line.settimeout(left)
            part = line.recv(_CHUNK)
            if not part:
                return None
            received += part
            if len(received) > MOST_HEAD + len(HEAD_END):
                break
        return received.partition(HEAD_END)[0]

    def _found(self, asked: Asked) -> Answer:
        if asked.method not in _METHODS:
            raise HeadError(HTTPStatus.METHOD_NOT_ALLOWED, f"this is read by {' and '.join(_METHODS)}")
        route = self.server.routes.get(asked.path)
        if route is None:
            return _refused(HTTPStatus.NOT_FOUND, "there is nothing here", paths=list(self.server.routes))
        return route()

    def _say(self, answer: Answer, *, with_body: bool = True) -> None:
        status, kind, body = answer
        told = {
            "Server": "riverrun",
            "Date": formatdate(usegmt=True),
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            told["Allow"] = ", ".join(_METHODS)
        lines = [f"HTTP/1.0 {status.value} {status.phrase}", *(f"{name}: {text}" for name, text in told.items())]
        line: socket = self.request
        line.settimeout(_TIMEOUT_S)
        line.sendall("\r\n".join(lines).encode("ascii") + HEAD_END + (body if with_body else b""))
