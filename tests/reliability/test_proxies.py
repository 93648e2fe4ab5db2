"""What stands between services and their servers keeps nothing of connections that have ended."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from chaos.proxies import Proxy

_FILES = Path("/proc/self/fd")
_PATIENCE_S = 20.0


def _heard(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    except OSError:
        return False


@pytest.mark.skipif(not _FILES.exists(), reason="only Linux tells what a process has open")
def test_connections_that_ended_are_closed(port: int) -> None:
    """A long run makes tens of thousands, and a process may have only so many open."""
    with Proxy(port) as proxy:
        before = len(list(_FILES.iterdir()))
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", proxy.port), 5.0) as client:
                assert _heard(client)
        deadline = time.monotonic() + _PATIENCE_S
        while len(list(_FILES.iterdir())) > before:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the proxy's threads end when they end
        with socket.create_connection(("127.0.0.1", proxy.port), 5.0) as client:
            assert _heard(client)
            proxy.cut()
            assert not _heard(client)
