"""Three brokers that replicate one another: any one may be lost, with all that was acknowledged kept."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from chaos.between_brokers import BetweenBrokers
from riverrun.embedded import ClientProperties, EmbeddedKafka, EmbeddedRedis
from riverrun.embedded.addresses import Addresses
from riverrun.embedded.kafka_server import KafkaSettings
from riverrun.embedded.ports import LOOPBACK, choose_ports
from riverrun.embedded.run_record import RunRecord

__all__ = ["ThreeBrokers"]

_COUNT: Final = 3
_IN_SYNC: Final = 2
_DOORS: Final = 3
_BROKERS, _CONTROLLER = 0, 1
"""Doors that the others come through."""


class _Doors(NamedTuple):
    """The ports at which a broker listens."""

    clients: int
    brokers: int
    controller: int


class ThreeBrokers:
    """A cluster of three brokers, each also a controller, and a Redis.

    Parameters
    ----------
    folder
        Where they keep everything.
    announce
        Told in one line what takes time.

    Attributes
    ----------
    nodes, redis
        The servers.
    between
        The ways between the brokers.
    """

    def __init__(self, folder: Path, announce: Callable[[str], None]) -> None:
        self._undo = ExitStack()
        self.redis = EmbeddedRedis(folder / "redis", announce=announce)
        ports = choose_ports(_DOORS * _COUNT)
        doors = [_Doors(*ports[_DOORS * number : _DOORS * (number + 1)]) for number in range(_COUNT)]
        self.between = BetweenBrokers([(each.brokers, each.controller) for each in doors])
        cluster = "c" + urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")[1:]
        self.nodes: Sequence[EmbeddedKafka] = []
        for number, each in enumerate(doors):
            settings = KafkaSettings(heap_mb=320, cluster_id=cluster, properties=self._properties(number, each))
            node = EmbeddedKafka(folder / f"kafka-{number + 1}", settings, announce=announce)
            # The voters must know one another's ports before any of them has started.
            node.folder.mkdir(parents=True)
            RunRecord(ports=(each.clients, each.controller)).write(node.folder)
            self.nodes = [*self.nodes, node]

    def _properties(self, number: int, doors: _Doors) -> dict[str, str]:
        copies, in_sync = str(_COUNT), str(_IN_SYNC)
        listeners = {"CLIENTS": doors.clients, "BROKERS": doors.brokers, "CONTROLLER": doors.controller}
        # A follower finds the leader where that says it is, not where the voters are said to be.
        proxied = {"BROKERS": _BROKERS, "CONTROLLER": _CONTROLLER}
        advertised = listeners | {name: self.between.port(number, door) for name, door in proxied.items()}
        voters = {node + 1: self.between.port(node, _CONTROLLER) for node in range(_COUNT)}
        return {
            "node.id": str(number + 1),
            "listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items()),
            "advertised.listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in advertised.items()),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in listeners),
            "inter.broker.listener.name": "BROKERS",
            "controller.quorum.voters": ",".join(f"{node}@{LOOPBACK}:{port}" for node, port in voters.items()),
            # Elections among three take longer than that of one with itself.
            "controller.quorum.election.timeout.ms": "1000",
            "controller.quorum.fetch.timeout.ms": "2000",
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            "replica.lag.time.max.ms": "3000",
            # After how long without a sign of life a broker is taken for gone; nine seconds by default.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            # How long a coordinator waits for a broker that hangs before it turns to its successor with the end of a
            # transaction; half a minute by default.
            "request.timeout.ms": "4000",
            # And how long a broker waits for a controller that hangs, with a follower's return into the replicas in
            # sync; half a minute by default, while which the loss of another broker leaves one replica alone.
            "controller.socket.timeout.ms": "4000",
        }

    @property
    def addresses(self) -> Addresses:
        """Where they are; any one of the brokers tells of the others."""
        bootstrap = ",".join(f"{LOOPBACK}:{node.ports[0]}" for node in self.nodes)
        return Addresses(ClientProperties({"bootstrap.servers": bootstrap}), self.redis.url, embedded=True)

    def __enter__(self) -> Self:
        """Start all: none answers before two do."""
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._undo.enter_context(self.between)
            self.redis.start()
            with ThreadPoolExecutor(_COUNT) as pool:
                for started in [pool.submit(node.start) for node in self.nodes]:
                    started.result()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop all."""
        self.stop()

    def stop(self) -> None:
        """End the servers: at once, since the last broker alone could not leave in order."""
        for node in self.nodes:
            node.kill()
            node.stop()
        self.redis.stop()
        self._undo.close()
