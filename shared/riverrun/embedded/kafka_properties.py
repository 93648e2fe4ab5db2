"""The configuration of the embedded Kafka: small, quick to start, keeping history for ever."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from riverrun.embedded.listener import Credentials, Tls, kafka_listener_properties
from riverrun.embedded.ports import LOOPBACK

__all__ = ["properties_text", "server_properties"]

_FIXED: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENTS",
    # There is nobody to wait for in an election of one.
    "controller.quorum.election.timeout.ms": "200",
    "controller.quorum.election.backoff.max.ms": "50",
    # After a crash the new broker may register only when the old one's session is over, which its own
    # restarted controller counts from its start: 9 s by default.
    "broker.heartbeat.interval.ms": "400",
    "broker.session.timeout.ms": "2000",
    # One copy of everything.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
    # A misspelt topic is an error, not a new topic.
    "auto.create.topics.enable": "false",
    # The embedded log is the history: nothing in it expires, nor do the positions of who stayed away for a
    # while.
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    "offsets.retention.minutes": str(5 * 365 * 24 * 60),
    # Members and transactions that died are noticed in seconds.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # The cores and the heap are shared with the clients.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}
_LAST_ASCII = 0x7F


def server_properties(
    ports: tuple[int, int], data: Path, tls: Tls | None, credentials: Credentials | None
) -> dict[str, str]:
    """Return the content of ``server.properties``.

    Parameters
    ----------
    ports : tuple of two int
        For clients, and for the controller.
    data : Path
        Kafka's log folder.
    tls, credentials : optional
        What clients are asked for.

    Returns
    -------
    dict of str to str
        Broker properties.
    """
    clients, controller = ports
    return {
        **_FIXED,
        "listeners": f"CLIENTS://{LOOPBACK}:{clients},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"CLIENTS://{LOOPBACK}:{clients}",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "log.dirs": str(data),
        **kafka_listener_properties(tls, credentials),
    }


def properties_text(properties: Mapping[str, str]) -> str:
    r"""Write properties in the escaped form that Java reads.

    Examples
    --------
    >>> properties_text({"log.dirs": "/data/Zürich", "password": "a\\b"})
    'log.dirs=/data/Z\\u00fcrich\npassword=a\\\\b\n'
    """
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _escaped(value: str) -> str:
    characters = []
    for character in value.replace("\\", "\\\\").replace("\n", "\\n"):
        if ord(character) <= _LAST_ASCII:
            characters.append(character)
            continue
        units = character.encode("utf-16-be")
        characters += [f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2)]
    return "".join(characters)
