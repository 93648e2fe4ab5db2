"""Proxies between services and their servers: connections are cut, slowed, frozen, and requests held back."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self

__all__ = ["Fault", "KafkaProxy", "Proxy"]

_ADD_PARTITIONS: Final = 24
_END_TXN: Final = 26
_NAME_AT: Final = 12
"""Behind a request's length, kind, version and number (Kafka's protocol guide, request header 1)."""
_HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536


class Fault(enum.Enum):
    """What happens to the next request to end a transaction; the client's connection breaks in each case."""

    LOST_REQUEST = "it never arrives"
    LOST_ANSWER = "it arrives, but the client does not hear of it"
    DELAYED = "it arrives much later, when `release` is called"


@dataclass(slots=True, eq=False)
class _Connection:
    """A client's connection, and the one to the server that goes with it."""

    client: socket.socket
    server: socket.socket
    directions: int = 2

    def hang_up(self) -> None:
        _hang_up(self.client)
        _hang_up(self.server)

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Proxy:
    """Forwards connections to a server on this machine.

    Parameters
    ----------
    port
        The server's.

    Attributes
    ----------
    port
        Its own.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server((_HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: set[_Connection] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._delay_s = 0.0
        self._refusing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Break everything and end."""
        self._ended.set()
        self.restore()
        _hang_up(self._listener)
        self._listener.close()
        self._acceptor.join()
        self.cut()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def cut(self, *, refusing: bool = False) -> None:
        """Break all connections; with ``refusing``, new ones too until `restore`."""
        self._refusing = refusing
        for each in self._now():
            each.hang_up()

    def break_off(self, whose: Callable[[socket.socket], bool]) -> None:
        """Break the connections of some clients."""
        for each in self._now():
            if whose(each.client):
                each.hang_up()

    def refuses(self, client: socket.socket) -> bool:
        """Tell whether a connection is not let in now."""
        del client
        return self._refusing

    def slow(self, seconds: float) -> None:
        """Let everything that passes wait for so long, until `restore`."""
        self._delay_s = seconds

    def freeze(self) -> None:
        """Let nothing pass, though connections stay open, until `restore`."""
        self._flowing.clear()

    def restore(self) -> None:
        """Work as if nothing had been."""
        self._refusing, self._delay_s = False, 0.0
        self._flowing.set()

    def _now(self) -> list[_Connection]:
        with self._lock:
            return list(self._connections)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _serve(self, connection: _Connection, work: Callable[[socket.socket, socket.socket], None]) -> None:
        """Do the work of one direction; whoever ends last closes both sockets."""
        work(connection.client, connection.server)
        with self._lock:
            self._threads.discard(threading.current_thread())
            connection.directions -= 1
            if connection.directions:
                return
            self._connections.discard(connection)
        connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses(client):
                    client.close()
                    continue
                try:
                    server = socket.create_connection((_HOST, self._server_port))
                except OSError:
                    # The server is down, as it may be here: the client hears of it as it would directly.
                    client.close()
                    continue
                for side in (client, server):
                    # As clients and brokers do themselves: otherwise every second small message waits 40 ms.
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = _Connection(client, server)
                with self._lock:
                    self._connections.add(connection)
                for work in (self._requests, self._answers):
                    self._start(partial(self._serve, connection, work))

    def _pass(self) -> None:
        """Wait for as long as the network takes."""
        if self._delay_s:
            self._ended.wait(self._delay_s)
        self._flowing.wait()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        self._forward(client, server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        self._forward(server, client)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._pass()
                sink.sendall(data)
        _hang_up(sink)


class KafkaProxy(Proxy):
    """A proxy before a broker: it names itself in place of the broker, and can hold requests to end a transaction.

    Parameters
    ----------
    port
        The broker's.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._fault: Fault | None = None
        self._delayed: list[tuple[socket.socket, bytes]] = []
        self._answered = threading.Event()
        self._asked: socket.socket | None = None
        self._next_begun = threading.Event()
        # What a broker says of itself in its answers, and what the client shall hear instead.
        host = _HOST.encode()
        self._names = host + struct.pack(">i", port), host + struct.pack(">i", self.port)

    @property
    def holds(self) -> int:
        """How many requests are held back."""
        return len(self._delayed)

    @property
    def armed(self) -> bool:
        """Whether the next request to end a transaction is still to come."""
        return self._fault is not None

    @property
    def next_begun(self) -> bool:
        """Whether the writer whose request is held back has begun another transaction since."""
        return self._next_begun.is_set()

    def fail_next(self, fault: Fault) -> None:
        """Let the next request to end a transaction suffer."""
        self._next_begun.clear()
        self._fault = fault

    def release(self) -> int:
        """Deliver what was delayed, and wait for the answer; return how many requests there were.

        Raises
        ------
        TimeoutError
            If the broker does not answer.
        """
        delayed, self._delayed = self._delayed, []
        for broker, frame in delayed:
            self._answered.clear()
            self._asked = broker
            broker.sendall(frame)
            if not self._answered.wait(10):
                raise TimeoutError("the broker does not answer the delayed request")
        return len(delayed)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                frame = _frame(client)
                self._pass()
                (api,) = struct.unpack_from(">h", frame, 4)
                if api == _END_TXN and self._fault is not None:
                    self._strike(client, server, frame)
                    return
                server.sendall(frame)
                if api == _ADD_PARTITIONS and self._is_held(frame):
                    # The client has silently asked again, and gone on.
                    self._next_begun.set()
        _hang_up(server)

    def _is_held(self, frame: bytes) -> bool:
        """Tell whether a request of the same writer is held back."""
        return any(_transactional_id(held) == _transactional_id(frame) for _, held in self._delayed)

    def _strike(self, client: socket.socket, broker: socket.socket, frame: bytes) -> None:
        fault, self._fault = self._fault, None
        _hang_up(client)
        if fault is Fault.DELAYED:
            self._delayed.append((broker, frame))
        elif fault is Fault.LOST_ANSWER:
            broker.sendall(frame)
        else:
            _hang_up(broker)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                frame = _frame(server)
                if server is self._asked:
                    self._answered.set()
                self._pass()
                client.sendall(frame.replace(*self._names))
        _hang_up(client)


def _frame(source: socket.socket) -> bytes:
    head = _exactly(source, 4)
    (length,) = struct.unpack(">i", head)
    return head + _exactly(source, length)


def _transactional_id(frame: bytes) -> bytes:
    """Return whose a request is that begins with a transactional id, behind the client's name in its head."""
    (name,) = struct.unpack_from(">h", frame, _NAME_AT)
    at = _NAME_AT + 2 + max(0, name)
    (length,) = struct.unpack_from(">h", frame, at)
    return frame[at + 2 : at + 2 + length]


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
