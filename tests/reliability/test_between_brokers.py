"""One of several processes is cut off from a server, and the others are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from chaos.between_brokers import BetweenBrokers, PeerProxy

_TALKER = """
import socket, sys
for line in sys.stdin:
    word, _, port = line.partition(" ")
    try:
        if word == "connect":
            talk = socket.create_connection(("127.0.0.1", int(port)), 5.0)
        talk.sendall(b"x")
        print("heard" if talk.recv(1) == b"x" else "broken", flush=True)
    except OSError:
        print("broken", flush=True)
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells whose a connection is")


class _Talker:
    """A process that connects to ports, and talks through its newest connection."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def connects(self, port: int) -> bool:
        """Tell whether it is heard at a port."""
        return self._heard(f"connect {port}")

    def talks(self) -> bool:
        """Tell whether it is still heard."""
        return self._heard("talk")

    def _heard(self, line: str) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline() == "heard\n"


@contextmanager
def _talkers(count: int) -> Iterator[list[_Talker]]:
    command = [sys.executable, "-c", _TALKER]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(count)
        ]
        try:
            yield [_Talker(process) for process in processes]
        finally:
            for process in processes:
                process.kill()


def test_a_process_is_barred_and_another_is_not(port: int) -> None:
    """Its connection breaks, and new ones too, until all is restored; who else is connected notices nothing."""
    with PeerProxy(port) as proxy, _talkers(2) as (barred, other):
        assert barred.connects(proxy.port)
        assert other.connects(proxy.port)
        proxy.bar({barred.pid})
        assert not barred.talks()
        assert not barred.connects(proxy.port)
        assert other.talks()
        assert other.connects(proxy.port)
        proxy.bar({other.pid, os.getpid()})
        assert barred.connects(proxy.port)
        assert not other.talks()
        proxy.restore()
        assert barred.talks()
        assert other.connects(proxy.port)


def test_a_broker_is_cut_off_both_ways(port: int) -> None:
    """Nobody comes through its door but itself, and it comes through nobody's; the others still meet."""
    with BetweenBrokers([[port], [port], [port]]) as between, _talkers(3) as brokers:
        doors = [between.port(number, 0) for number in range(3)]
        between.cut_off(1, [broker.pid for broker in brokers])
        meet = {
            (source, target)
            for source, broker in enumerate(brokers)
            for target, door in enumerate(doors)
            if broker.connects(door)
        }
        assert meet == {(0, 0), (1, 1), (2, 2), (0, 2), (2, 0)}
        between.restore()
        assert all(broker.connects(door) for broker in brokers for door in doors)
