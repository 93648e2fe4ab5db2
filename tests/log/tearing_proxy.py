"""A proxy before a broker that loses and delays requests to end a transaction, as a bad network does."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_END_TXN = 26
_HOST = "127.0.0.1"


class Fault(enum.Enum):
    """What happens to the next request to end a transaction; the client's connection breaks in each case."""

    LOST_REQUEST = "it never arrives"
    LOST_ANSWER = "it arrives, but the client does not hear of it"
    DELAYED = "it arrives much later, when `release` is called"


class TearingProxy:
    """Forwards connections to a broker on this machine, and names itself in place of the broker to clients.

    Parameters
    ----------
    port
        The broker's.
    """

    def __init__(self, port: int) -> None:
        self._broker_port = port
        self._server = socket.create_server((_HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self._fault: Fault | None = None
        self._delayed: list[tuple[socket.socket, bytes]] = []
        self._answered = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        # What a broker says of itself in its answers, and what the client shall hear instead.
        host = _HOST.encode()
        self._names = host + struct.pack(">i", port), host + struct.pack(">i", self.port)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _hang_up(self._server)
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in (self._server, *self._sockets):
            each.close()

    def fail_next(self, fault: Fault) -> None:
        """Let the next request to end a transaction suffer."""
        self._fault = fault

    def release(self) -> int:
        """Deliver what was delayed, and wait for the answer; return how many requests there were."""
        delayed, self._delayed = self._delayed, []
        for broker, frame in delayed:
            self._answered.clear()
            broker.sendall(frame)
            assert self._answered.wait(10), "the broker does not answer the delayed request"
        return len(delayed)

    def cut(self) -> None:
        """Break all connections."""
        for each in tuple(self._sockets):
            _hang_up(each)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                broker = socket.create_connection((_HOST, self._broker_port))
                self._sockets += [client, broker]
                self._start(self._requests, client, broker)
                self._start(self._answers, client, broker)

    def _requests(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                frame = _frame(client)
                (api,) = struct.unpack_from(">h", frame, 4)
                if api == _END_TXN and self._fault is not None:
                    self._strike(client, broker, frame)
                    return
                broker.sendall(frame)
        _hang_up(broker)

    def _strike(self, client: socket.socket, broker: socket.socket, frame: bytes) -> None:
        fault, self._fault = self._fault, None
        _hang_up(client)
        if fault is Fault.DELAYED:
            self._delayed.append((broker, frame))
        elif fault is Fault.LOST_ANSWER:
            broker.sendall(frame)
        else:
            _hang_up(broker)

    def _answers(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                frame = _frame(broker)
                self._answered.set()
                client.sendall(frame.replace(*self._names))
        _hang_up(client)


def _frame(source: socket.socket) -> bytes:
    head = _exactly(source, 4)
    (length,) = struct.unpack(">i", head)
    return head + _exactly(source, length)


def _exactly(source: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = source.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
