"""What the runtime needs of a log, a group and a store: the seams where Kafka, Redis and RocksDB are plugged in.

The in-memory implementations are held to the same contract suite as the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from riverrun.errors import Dependency, RiverrunError, UnavailableError


class FencedError(RiverrunError):
    """Another member has taken this partition over: stop, and write nothing more."""


class TornError(RiverrunError):
    """The connection broke while a commit was under way: the writer must be made anew and the tails read again."""


class LogUnavailableError(UnavailableError):
    """The log cannot be reached or asked for a retry: close the task, wait, recover."""

    dependency = Dependency.KAFKA


class PartialsUnavailableError(UnavailableError):
    """The store of feature partials cannot be reached, or refuses for the time being."""

    dependency = Dependency.REDIS


class LocalStateUnavailableError(UnavailableError):
    """The local store cannot be read or written: its disk is full, or its folder is not ours."""

    dependency = Dependency.LOCAL_STATE


Headers = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """A record as read from a log. ``timestamp`` is in milliseconds since the epoch (append or create time)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create when absent."""

    name: str
    partitions: int
    compacted: bool = False
    config: Mapping[str, str] | None = None


class Reader(Protocol):
    """Reads one partition forward, committed records only, never beyond the last stable offset."""

    @property
    def at_end(self) -> bool:
        """Whether the last poll reached the last stable offset (nothing more is there to be read now)."""
        ...

    @property
    def end_offset(self) -> int:
        """The offset at which the end was last reached; -1 before the first time."""
        ...

    @property
    def unread(self) -> int:
        """About how many records are there still to be read, as far as is known without asking: for lag figures.

        Control records and open transactions count. 0 at the end, and before anything is known.
        """
        ...

    def poll(self, limit: int, timeout: float = 0.0) -> list[Record]:
        """Return up to ``limit`` records, waiting up to ``timeout`` seconds for the first.

        Raises
        ------
        LogUnavailableError
            If the log cannot be read.
        """
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


class Writer(Protocol):
    """A transactional writer. ``open`` fences every earlier writer with the same transactional id."""

    def open(self) -> None:
        """Initialise transactions: fence predecessors, wait until their open transaction is resolved."""
        ...

    def begin(self) -> None:
        """Begin a transaction."""
        ...

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Append to the open transaction. May buffer; errors surface at ``commit``."""
        ...

    def first_offset(self, topic: str, partition: int) -> int:
        """Return the offset of this transaction's first record there, once committed; -1 when unknown."""
        ...

    def confirmed_ends(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return an end of each (topic, partition) that all who are fenced lie below, as its leader confirms it.

        A broker that is asked for an end may be cut off from the others and not know that it leads no more. One that
        has taken a record, on all replicas that must have it, is the leader: so one is sent to each, and aborted. To be
        called between transactions.

        Raises
        ------
        FencedError, LogUnavailableError
            If not all of them confirm it.
        """
        ...

    def commit(self, offsets: Mapping[tuple[str, int], int], group: str) -> None:
        """Commit records and, when ``offsets`` is not empty, the group's offsets, in one transaction.

        Raises
        ------
        FencedError
            If another writer has taken the transactional id.
        TornError
            If it committed, but the connection broke meanwhile: make a new writer and read the tails again.
        LogUnavailableError
            If the outcome is unknown or the commit failed.
        """
        ...

    def abort(self) -> None:
        """Abort the open transaction, if any; never raises for a writer that is already lost."""
        ...

    def close(self) -> None:
        """Release the connection without committing."""
        ...


class Log(Protocol):
    """A partitioned, transactional log."""

    def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is absent; raise ``RiverrunError`` naming a topic whose partition count differs."""
        ...

    def partitions(self, topic: str) -> int:
        """Return the topic's partition count, 0 when it does not exist."""
        ...

    def start_offset(self, topic: str, partition: int) -> int:
        """Return the first offset still kept (the log start)."""
        ...

    def high_watermark(self, topic: str, partition: int) -> int:
        """Return the offset after the last record, open transactions included."""
        ...

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        """Open a reader at ``offset`` (or the log start if that is later)."""
        ...

    def writer(self, transactional_id: str) -> Writer:
        """Make a transactional writer, not yet opened."""
        ...

    def tail(self, topic: str, partition: int, count: int, since: int = 0, reaching: int = 0) -> list[Record]:
        """Return the last ``count`` committed records from the offset ``since`` on (or all, if fewer), oldest first.

        Waits until transactions open at the time of the call are resolved. ``reaching`` is an offset that the
        partition's end is known to have come to (`Writer.confirmed_ends`): with it, what is returned is final for any
        writer fenced before. Without it, a broker that is cut off from the others may have left out what came last.

        Raises
        ------
        LogUnavailableError
            If the partition cannot be read, or not as far as ``reaching``.
        """
        ...

    def membership(self, group: str, topic: str) -> Membership:
        """Join ``group`` to share out the partitions of ``topic``."""
        ...

    def close(self) -> None:
        """Close shared connections."""
        ...


class Membership(Protocol):
    """Group membership: decides only who works on which partition, never what is committed."""

    def poll(self, timeout: float = 0.0) -> frozenset[int]:
        """Serve the group protocol and return the partitions now owned."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


Connect = Callable[[], Log]


class KeyValueStore(Protocol):
    """A local ordered store of bytes (RocksDB; a dict in tests) that applies a batch atomically."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key`` or None."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the pairs whose key starts with ``prefix``, in key order."""
        ...

    def apply(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> None:
        """Write all puts and deletes, atomically and surviving a kill of the process."""
        ...

    def clear(self) -> None:
        """Delete everything."""
        ...

    def close(self) -> None:
        """Release the store (and its lock)."""
        ...


class PartialEntry(NamedTuple):
    """A stored feature partial: its entity, the event position that it reflects, and its bytes."""

    entity: str
    position: int
    value: bytes


class PartialStore(Protocol):
    """Where feature partials are kept behind the worker's memory (Redis), put-if-newer by position.

    One namespace (``pipeline``), and in it for each partition and group a map from entity to (position, value),
    and for each partition a *marker*: the position up to which everything of that partition has been written.
    A server may lose what was written last (it restarted from its files, or a replica took over). Whoever wrote it is
    told when the marker is to be moved, be it lost as a whole or only up to some call.
    Every call is one pipelined round trip. All raise ``UnavailableError`` when the store cannot be reached.
    """

    def put(self, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        """Write the entries that are newer than what is stored; return how many were."""
        ...

    def put_groups(self, partition: int, groups: Sequence[tuple[str, Sequence[PartialEntry]]]) -> int:
        """Write entries of several groups, each with its name, in one round trip; as `put`."""
        ...

    def delete(self, partition: int, group: str, entries: Sequence[tuple[str, int]]) -> None:
        """Delete entities whose stored position is not newer than the given one."""
        ...

    def scan(self, partition: int, group: str) -> Iterator[PartialEntry]:
        """Iterate over all entries of a partition's group."""
        ...

    def scan_packed(self, partition: int, group: str) -> Iterator[Mapping[str, bytes]]:
        """Iterate over all entries of a partition's group, many at a time, in the form of `riverrun.runtime.packed`."""
        ...

    def read(self, group: str, entities: Sequence[str], partitions: Sequence[int]) -> list[list[PartialEntry | None]]:
        """Return, for each entity, its entry in each of the partitions: the point look-up of a batch."""
        ...

    def marker(self, partition: int) -> int | None:
        """Return the position that the partition's state is complete to, or None when it was wiped."""
        ...

    def mark(self, partition: int, position: int) -> bool:
        """Advance the marker (never back).

        Return False, and leave it, if it was absent or set back, or something that this client wrote since it moved
        last is lost: then everything is to be written again.
        """
        ...

    def begin(self, partition: int) -> None:
        """Announce that everything will be written anew: until ``reset`` there is no marker."""
        ...

    def reset(self, partition: int, position: int) -> bool:
        """Create the marker after everything was rewritten.

        Return False, and create none, if another client has cleared the partition or begun there since this one's
        ``begin``, or the server has lost some of it: what was written may be gone.
        """
        ...

    def clear(self, partition: int, groups: Sequence[str]) -> None:
        """Delete the partition's marker and all entries of these groups, at one stroke.

        So whoever still counts on them, the successor of a member that was frozen here, finds out by its next ``mark``.
        """
        ...
