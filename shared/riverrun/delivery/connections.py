"""Connections to the very addresses that were checked, whose every step ends by one deadline.

A socket's own timeout is for each call by itself: a receiver that sends a byte now and then would never be left.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import TYPE_CHECKING, Final

from riverrun.delivery.destinations import Destination

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Deadline", "PinnedConnection"]

_CHUNK: Final = 1 << 16


class Deadline:
    """A moment by which something must be over.

    Parameters
    ----------
    seconds
        From now.
    """

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises
        ------
        TimeoutError
            If there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the attempt is over")
        return left


class PinnedConnection(http.client.HTTPConnection):
    """A connection to one of the addresses that were found before; for TLS the certificate must be the host's.

    The addresses are tried in turn: nothing of the request is sent before one of them is connected.

    Parameters
    ----------
    place
        Where to, with its addresses.
    context
        Checks certificates; None for a connection without TLS.
    deadline
        By when the request must be answered.
    """

    def __init__(self, place: Destination, context: ssl.SSLContext | None, deadline: Deadline) -> None:
        super().__init__(place.host, place.port)
        self._place = place
        self._context = context
        self._deadline = deadline

    def connect(self) -> None:
        """Connect.

        Raises
        ------
        OSError
            If none of the addresses can be connected: what was wrong with the last.
        """
        addresses = self._place.addresses
        failure = OSError("there is no address to connect to")
        for number, address in enumerate(addresses):
            # An address that never answers must leave time for the others.
            share = Deadline(self._deadline.left() / (len(addresses) - number))
            try:
                self.sock = _TimedSocket(self._reach(address, share), self._deadline)
                return
            except OSError as error:
                failure = error
        raise failure

    def _reach(self, address: str, share: Deadline) -> socket.socket:
        plain = socket.create_connection((address, self._place.port), share.left())
        if self._context is None:
            return plain
        try:
            plain.settimeout(share.left())
            return self._context.wrap_socket(plain, server_hostname=self._place.host)
        except BaseException:
            plain.close()
            raise


class _TimedSocket:
    """As much of a socket as an HTTP connection uses, by a deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(self._deadline.left())
            rest = rest[self._socket.send(rest[:_CHUNK]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(_TimedReader(self._socket, self._deadline))

    def close(self) -> None:
        self._socket.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv_into(buffer)
