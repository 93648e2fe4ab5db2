"""The ways between brokers: each broker's doors for the others have proxies before them, which know who knocks."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chaos.proxies import Proxy

__all__ = ["BetweenBrokers", "PeerProxy"]

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _INODE = 1, 2, 9
"""Columns of these tables (Linux, proc_net_tcp)."""


class PeerProxy(Proxy):
    """A proxy that can bar single processes of this machine. Only Linux tells whose a connection is.

    Parameters
    ----------
    port
        The server's.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._barred: frozenset[int] = frozenset()

    def bar(self, processes: Collection[int]) -> None:
        """Break the connections of these processes, and refuse theirs until `restore`."""
        self._barred = frozenset(processes)
        self.break_off(self._is_barred)

    def restore(self) -> None:
        """Let in everybody."""
        self._barred = frozenset()
        super().restore()

    def refuses(self, client: socket.socket) -> bool:
        """Tell whether a connection is not let in now."""
        return super().refuses(client) or self._is_barred(client)

    def _is_barred(self, client: socket.socket) -> bool:
        if not self._barred:
            return False
        try:
            port = client.getpeername()[1]
        except OSError:
            return False
        names = {f"socket:[{inode}]" for inode in _inodes(port, self.port)}
        return any(not names.isdisjoint(_files(process)) for process in self._barred)


def _inodes(local: int, remote: int) -> Iterator[str]:
    """Yield the inodes of sockets at one port that are connected to another."""
    for table in _TABLES:
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            columns = line.split()
            ports = [int(columns[each].rpartition(":")[2], 16) for each in (_LOCAL, _REMOTE)]
            if ports == [local, remote]:
                yield columns[_INODE]


def _files(process: int) -> Iterator[str]:
    """Yield what a process has open."""
    folder = Path(f"/proc/{process}/fd")
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            yield str(entry.readlink())
        except OSError:
            # Closed since.
            continue


class BetweenBrokers:
    """The ways between the brokers of a cluster: those that replicate, and those to the controllers.

    Parameters
    ----------
    doors
        For each broker, the ports at which it listens for the others.
    """

    def __init__(self, doors: Sequence[Sequence[int]]) -> None:
        self._proxies = [[PeerProxy(port) for port in ports] for ports in doors]
        self._undo = ExitStack()

    def port(self, broker: int, door: int) -> int:
        """Return where the others find a broker's door."""
        return self._proxies[broker][door].port

    def cut_off(self, which: int, processes: Sequence[int]) -> None:
        """Let nothing pass between a broker and the others, either way, until `restore`; given all their processes."""
        others = [process for number, process in enumerate(processes) if number != which]
        for number, proxies in enumerate(self._proxies):
            for proxy in proxies:
                proxy.bar(others if number == which else [processes[which]])

    def slow(self, which: int, seconds: float) -> None:
        """Let everything between a broker's doors and the others wait for so long, until `restore`."""
        for proxy in self._proxies[which]:
            proxy.slow(seconds)

    def restore(self) -> None:
        """Let everything pass."""
        for proxy in self._all():
            proxy.restore()

    def _all(self) -> Iterator[PeerProxy]:
        return (proxy for proxies in self._proxies for proxy in proxies)

    def __enter__(self) -> Self:
        """Open the ways."""
        with ExitStack() as opening:
            for proxy in self._all():
                opening.enter_context(proxy)
            self._undo = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close them."""
        self._undo.close()
