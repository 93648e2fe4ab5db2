"""A small HTTP endpoint of a process: ``/health/live``, ``/health/ready`` and ``/metrics``."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Final

from riverrun.errors import SettingsError
from riverrun.telemetry.exposition import CONTENT_TYPE
from riverrun.telemetry.health import Report
from riverrun.telemetry.settings import HEALTH_HOST, HEALTH_PORT, HealthSettings

__all__ = ["HealthEndpoint"]

_LOG: Final = logging.getLogger("riverrun.health")
_TIMEOUT_S: Final = 5.0
_AT_ONCE: Final = 16
"""Requests answered at the same time; more are hung up on, so that no stranger can fill the process with threads."""

Answer = tuple[HTTPStatus, str, bytes]
Route = Callable[[], Answer]


def _json(report: Report) -> Answer:
    status = HTTPStatus.OK if report.well else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps(report.document, ensure_ascii=False).encode()


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


class _Server(ThreadingHTTPServer):
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


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S
    server_version = "riverrun"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:  # the name is http.server's
        """Answer."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:  # the name is http.server's
        """Answer without a body."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            known = {"error": "there is nothing here", "paths": list(self.server.routes)}
            status, kind, body = HTTPStatus.NOT_FOUND, "application/json", json.dumps(known).encode()
        else:
            status, kind, body = route()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, text: str, *args: object) -> None:
        """Log requests for debugging only: they come every few seconds."""
        _LOG.debug(text, *args)
