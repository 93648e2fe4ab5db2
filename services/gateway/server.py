"""HTTP itself: uvicorn, told to bear no endless headers and to answer what is no HTTP with a problem document too."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from riverrun.runtime import collector
from riverrun.telemetry.request_head import MOST_HEAD
from services.gateway.gate import Gate
from services.gateway.problems import PROBLEM_TYPE, Problem, ProblemKind, problem_body
from services.gateway.settings import GatewaySettings

__all__ = ["BoundedHttp", "GatewayServer", "configure"]

HEAD_S: Final = 10.0
"""So many seconds a request's head may take to come in, once its first byte is there."""

_SPOKEN: Final = ("1.1", "1.0")
SILENT_S: Final = 30
"""So many seconds a connection may be silent, before its first request as between two: clients keep some in reserve.
As long may whoever was answered leave the answer lying.
"""


class BoundedHttp(HttpToolsProtocol):
    """HTTP with a bound on what comes before a body, and held to what the parser lets pass though HTTP does not.

    The parser itself would collect headers for ever, take versions that are not spoken here, and requests that name no
    host, or two: what stands before us may read such a request in another way than we do.

    No connection stays open because its other side says nothing, not all, or does not listen; and there are so many,
    no more: each is a file of the process, whoever opened it. How long a body may take is watched here, below the
    routes: a request whose body came in with its head costs no timer, and one that was refused long ago is watched too.
    """

    most_connections: int
    body_s: float
    _head = 0
    _is_begun = False
    _refusal: Problem | None = None
    _late: asyncio.TimerHandle | None = None
    _deaf: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first head, unless there are too many connections."""
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self.most_connections:
            self._end(Problem(ProblemKind.UNAVAILABLE, "too many connections are open"))
        else:
            self._await(SILENT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._await_nothing()
        self._set_heard()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, unless a request's head has become too long."""
        if self._head > MOST_HEAD:
            self._end(_too_long())
            return
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._late is None:
            self._await_rest()

    def _await_rest(self) -> None:
        """Wait for what has not come in yet; what has is answered, which takes as long as it takes."""
        if self._is_begun:
            self._await(HEAD_S)
        elif self._head < 0:
            self._await(self.body_s)
        elif self.cycle is None or self.cycle.response_complete:
            # Line ends between requests begin none, but they have ended uvicorn's own wait.
            self._await(SILENT_S)

    def pause_writing(self) -> None:
        """Wait until the other side has fetched some of what it was answered."""
        super().pause_writing()
        self._deaf = self.loop.call_later(SILENT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it listens."""
        self._set_heard()
        super().resume_writing()

    def _set_heard(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None

    def _await(self, seconds: float) -> None:
        self._await_nothing()
        self._late = self.loop.call_later(seconds, self._give_up)

    def _await_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        """Hang up on who says nothing, or not all, and tell the latter why, unless it is being told something."""
        self._late = None
        if self.transport.is_closing():
            # It was hung up on, and has not fetched the last of its answers.
            self.transport.abort()
        elif self.flow.read_paused:
            # Nobody has fetched what is there, or another request is in work: that no more comes is not its fault.
            self._await(HEAD_S)
        elif self._head < 0:
            self._give_up_body()
        elif self._is_begun and (self.cycle is None or self.cycle.response_complete):
            self._end(Problem(ProblemKind.BAD_REQUEST, f"the head did not come in within {HEAD_S:.0f} s"))
        else:
            self._hang_up()

    def _give_up_body(self) -> None:
        if self.pipeline or self.cycle.response_started:
            self._hang_up()
            return
        # What waits for the body, or does something meanwhile, is told as if the caller had gone.
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self._end(Problem(ProblemKind.BAD_REQUEST, f"the body did not come in within {self.body_s:.0f} s"))

    def _hang_up(self) -> None:
        """Close the connection when what was said is fetched, or when that takes too long."""
        self.transport.close()
        self._await(SILENT_S)

    def on_response_complete(self) -> None:
        """Go on with the next request; if that was the last, see that the answer is fetched."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._await(SILENT_S)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head, self._is_begun = 0, True
        self._await_nothing()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is the body, which the gate counts."""
        self._head, self._is_begun = -1, False
        self._await_nothing()
        self._check()
        super().on_headers_complete()

    def _check(self) -> None:
        """Refuse a head that is too long, or that HTTP does not allow."""
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            hosts += name == b"host"
        version = self.parser.get_http_version()
        if size > MOST_HEAD:
            # It came in one piece with its end, so that it was not counted.
            self._refusal = _too_long()
        elif version not in _SPOKEN:
            self._refusal = Problem(ProblemKind.BAD_REQUEST, "this speaks HTTP/1.1")
        elif hosts > 1 or (not hosts and version == "1.1"):
            self._refusal = Problem(ProblemKind.BAD_REQUEST, "a request has one header `Host`")
        if self._refusal is not None:
            # The parser stops, and `send_400_response` is called.
            raise self._refusal

    def on_message_complete(self) -> None:
        """Count again: another head follows."""
        self._head = 0
        self._await_nothing()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._end(self._refusal or Problem(ProblemKind.BAD_REQUEST, msg))

    def _end(self, problem: Problem) -> None:
        body = problem_body(problem)
        status = problem.kind.status
        head = (
            f"HTTP/1.1 {status} {problem.kind.code}\r\ncontent-type: {PROBLEM_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._hang_up()


def _too_long() -> Problem:
    return Problem(ProblemKind.LONG_HEAD, f"a request's head may have {MOST_HEAD} bytes")


class GatewayServer(uvicorn.Server):
    """A server that ends well on a signal: uvicorn's own would raise it again, and nothing after it would be done.

    Once it has started, the garbage collector no longer goes through what is there: a request would wait for it.
    """

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Load what is needed, and listen."""
        await super().startup(sockets)
        collector.set_aside()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Answer what was asked, and end."""
        await super().shutdown(sockets)
        collector.release()

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

    class Http(BoundedHttp):
        most_connections = settings.max_connections
        body_s = settings.body_timeout_s

    return uvicorn.Config(
        gate,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Http,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=SILENT_S,
        timeout_graceful_shutdown=5,
    )
