"""A small run on real servers that nobody disturbed, to be tampered with; and a server that says what it hears."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from chaos.evidence import Evidence, gather
from chaos.parcels import DISORDER, ParcelLoad
from chaos.world import Plan, World
from riverrun.embedded import EmbeddedCluster

_MESSAGES = 1_000


@pytest.fixture(scope="package")
def undisturbed(cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A chain on two partitions that has folded everything and was stopped in order."""
    plan = Plan("undisturbed", ParcelLoad(3, DISORDER), partitions=2)
    with World(plan, cluster.addresses, tmp_path_factory.mktemp("undisturbed")) as world:
        world.publish(_MESSAGES)
        world.rest()
        yield world


@pytest.fixture(scope="package")
def evidence(undisturbed: World) -> Evidence:
    """What it left."""
    return gather(undisturbed)


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(100):
            self.request.sendall(data)


@pytest.fixture
def port() -> Iterator[int]:
    """Run a server that says what it hears."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
