"""HTTP itself: uvicorn, told to bear no endless headers and to answer what is no HTTP with a problem document too."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.gateway.gate import Gate
from services.gateway.problems import PROBLEM_TYPE, Problem, ProblemKind, problem_body
from services.gateway.settings import GatewaySettings

__all__ = ["BoundedHttp", "GatewayServer", "configure"]

_MOST_HEAD: Final = 32_768
_KEEP_ALIVE_S: Final = 30


class BoundedHttp(HttpToolsProtocol):
    """HTTP with a bound on what comes before a body: the parser itself would collect headers for ever."""

    _head = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes in, unless a request's head has become too long."""
        if self._head > _MOST_HEAD:
            self._end(Problem(ProblemKind.LONG_HEAD, f"a request's head may have {_MOST_HEAD} bytes"))
            return
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is the body, which the gate counts."""
        self._head = -1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count again: another head follows."""
        self._head = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._end(Problem(ProblemKind.BAD_REQUEST, msg))

    def _end(self, problem: Problem) -> None:
        body = problem_body(problem)
        status = problem.kind.status
        head = (
            f"HTTP/1.1 {status} {problem.kind.code}\r\ncontent-type: {PROBLEM_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class GatewayServer(uvicorn.Server):
    """A server that ends well on a signal: uvicorn's own would raise it again, and nothing after it would be done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT stop the server while it serves."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def configure(gate: Gate, settings: GatewaySettings) -> uvicorn.Config:
    """Return how uvicorn is to serve the gate."""
    return uvicorn.Config(
        gate,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )
