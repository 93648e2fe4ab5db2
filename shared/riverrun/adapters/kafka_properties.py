"""Builds the librdkafka properties of every client that the Kafka adapter makes: one place decides them all.

Three layers, later ones win: riverrun's defaults, the operator's properties, and what correctness depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from riverrun.errors import SettingsError

__all__ = ["KafkaProperties", "KafkaTuning"]

# The client insists on a group's name; nothing is ever committed or joined under this one.
_NO_GROUP: Final = "riverrun-reader"

_TAIL_WAIT_MS: Final = 5

_EVERY_CLIENT: Final[Mapping[str, object]] = {
    "client.id": "riverrun",
    # An idle connection closed by the client would look like one that broke.
    "connections.max.idle.ms": 0,
    # A broker that comes back is to be found at once: the longest of the pauses of all clients of a process is part of
    # its recovery. An attempt that is refused costs some microseconds.
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 250,
    "socket.keepalive.enable": True,
    "socket.nagle.disable": True,
    # A broker that hangs reports no error, and its partitions get other leaders. What clients believe of that is by
    # default five minutes old, or fifteen.
    "topic.metadata.refresh.interval.ms": 3_000,
    "metadata.max.age.ms": 3_000,
}

_ASKING: Final[Mapping[str, object]] = {
    # How long a broker that hangs is waited for, in place of a minute. A transactional producer has a bound of its own.
    "socket.timeout.ms": 10_000,
}

_EVERY_CONSUMER: Final[Mapping[str, object]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
}

_EVERY_PRODUCER: Final[Mapping[str, object]] = {
    "enable.idempotence": True,
    "acks": "all",
    # librdkafka's default is another hash than the Java client's: equal keys would part.
    "partitioner": "murmur2_random",
}


@dataclass(frozen=True, slots=True)
class KafkaTuning:
    """Sizes and times of the Kafka adapter.

    Parameters
    ----------
    read_buffer_kb : int
        Most kilobytes that one reader fetches ahead.
    write_buffer_kb : int
        Most kilobytes that wait to be sent.
    fetch_wait_ms : int
        How long the broker holds a fetch that finds nothing. Short, since so long after the last record a
        reader learns that it is at the end; not too short, since an idle reader asks once in this time.
    linger_ms : int
        How long records wait to be batched; a commit ends the wait.
    compression : str
        Codec of what is written.
    transaction_timeout_ms : int
        How long a transaction may be open, and so for how long a lost writer blocks readers.
    session_timeout_ms : int
        After how long without a heartbeat a member is expelled from its group; longer where the brokers insist.
    session_ask_timeout : float
        Seconds to wait for the brokers to say whether they do.
    poll_timeout_ms : int
        After how long without ``Membership.poll`` a member leaves its group.
    request_timeout : float
        Seconds to wait for an answer about topics and offsets.
    opening_timeout : float
        Seconds to wait for a writer to open, to confirm ends and to abort. Not long: a coordinator that is cut off from
        the others never answers, and the next attempt may find another.
    tail_timeout : float
        Seconds that ``tail`` waits for open transactions.
    """

    read_buffer_kb: int = 8_192
    write_buffer_kb: int = 262_144
    fetch_wait_ms: int = 20
    linger_ms: int = 5
    compression: str = "lz4"
    transaction_timeout_ms: int = 10_000
    session_timeout_ms: int = 2_000
    poll_timeout_ms: int = 120_000
    session_ask_timeout: float = 5.0
    request_timeout: float = 30.0
    opening_timeout: float = 10.0
    tail_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class KafkaProperties:
    """Makes the properties of each kind of client.

    Parameters
    ----------
    operator
        The operator's librdkafka properties; ``bootstrap.servers`` at least.
    tuning
        Sizes and times.

    Raises
    ------
    SettingsError
        If ``bootstrap.servers`` is missing.

    Examples
    --------
    >>> properties = KafkaProperties({"bootstrap.servers": "kafka:9092", "check.crcs": False})
    >>> properties.reader()["check.crcs"]
    True
    """

    # May hold passwords, which have no business in a traceback.
    operator: Mapping[str, object] = field(repr=False)
    tuning: KafkaTuning = KafkaTuning()

    def __post_init__(self) -> None:
        if not self.operator.get("bootstrap.servers") and not self.operator.get("metadata.broker.list"):
            raise SettingsError(
                "no Kafka brokers are given",
                hint="set `bootstrap.servers` to host:port[,host:port]",
            )

    def admin(self) -> dict[str, object]:
        """Return the properties of the client that asks about topics and offsets."""
        return {**_EVERY_CLIENT, **_ASKING, **self.operator, "allow.auto.create.topics": False}

    def offsets(self) -> dict[str, object]:
        """Return the properties of the consumer that asks for log starts and high watermarks."""
        return {
            **_EVERY_CLIENT,
            **_ASKING,
            "group.id": _NO_GROUP,
            **self.operator,
            **_EVERY_CONSUMER,
            # Under read_committed the answer would be the last stable offset.
            "isolation.level": "read_uncommitted",
        }

    def reader(self) -> dict[str, object]:
        """Return the properties of a consumer that reads one partition and belongs to no group."""
        return {
            **_EVERY_CLIENT,
            **_ASKING,
            "group.id": _NO_GROUP,
            "fetch.min.bytes": 1,
            "fetch.wait.max.ms": self.tuning.fetch_wait_ms,
            "fetch.error.backoff.ms": 100,
            # How soon after the buffer was full it is looked at again. The default of 1 s would be a stall; at 0 the
            # client's thread spins for as long as it is full, and takes a core from who should empty it.
            "fetch.queue.backoff.ms": 20,
            "queued.max.messages.kbytes": self.tuning.read_buffer_kb,
            "queued.min.messages": 20_000,
            # Fetches are added to the buffer whole, and unpacked: a stranger's megabyte of lz4 may be 255 of them. With
            # the client's default of 1 MiB a hostile backlog took 700 MB and more, with this less than half as much.
            # Beside the broker that costs nothing that could be measured; over a line of 10 ms one fetch at a time
            # brings 13 MB/s: an operator who trusts the producers may set it higher.
            "fetch.message.max.bytes": min(1 << 17, self.tuning.read_buffer_kb << 8),
            **self.operator,
            **_EVERY_CONSUMER,
            "enable.partition.eof": True,
            "check.crcs": True,
            # Never jump silently: an offset that is gone is an error.
            "auto.offset.reset": "error",
        }

    def tail(self) -> dict[str, object]:
        """Return the properties of a reader that is to find the end: a broker need not wait for more."""
        return {**self.reader(), "fetch.wait.max.ms": _TAIL_WAIT_MS}

    def member(self, group: str, session_ms: int) -> dict[str, object]:
        """Return the properties of a consumer that is a member of ``group`` and fetches nothing."""
        return {
            **_EVERY_CLIENT,
            **_ASKING,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // 4,
            "max.poll.interval.ms": self.tuning.poll_timeout_ms,
            **self.operator,
            **_EVERY_CONSUMER,
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "auto.offset.reset": "latest",
        }

    def producer(self) -> dict[str, object]:
        """Return the properties of an idempotent producer without transactions."""
        return {
            **_EVERY_CLIENT,
            "linger.ms": self.tuning.linger_ms,
            "compression.type": self.tuning.compression,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": self.tuning.write_buffer_kb,
            **self.operator,
            **_EVERY_PRODUCER,
        }

    def writer(self, transactional_id: str) -> dict[str, object]:
        """Return the properties of a transactional producer."""
        return {
            **self.producer(),
            "transactional.id": transactional_id,
            # A transaction begun while the markers of the last one are being written is refused, and tried
            # again after this long: the default, 100 ms, would be the latency of every commit with offsets.
            "retry.backoff.ms": 5,
            "retry.backoff.max.ms": 500,
            "transaction.timeout.ms": self.tuning.transaction_timeout_ms,
            # Broken connections are learned from the log (see kafka_connection): it must not be turned down.
            "log_level": 6,
            "log.connection.close": True,
        }
