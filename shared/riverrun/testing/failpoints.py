"""Named points at which a member may be killed or frozen: before and after all that it does to the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from riverrun.runtime.ports import (
    Headers,
    KeyValueStore,
    Log,
    Membership,
    PartialEntry,
    PartialStore,
    Reader,
    Record,
    TopicSpec,
    Writer,
)

__all__ = ["Failpoints", "Killed", "PointedLog", "PointedPartials", "PointedStore"]


class Killed(BaseException):
    """The member has ceased to be. Not an error: nobody handles it, as nobody handles ``kill -9``."""


class Failpoints:
    """Counts the points that a member passes, and does something at one of them.

    Examples
    --------
    >>> points = Failpoints()
    >>> points.arm(2, lambda name: print("at", name))
    >>> points.reach("commit"), points.reach("committed"), points.reach("commit")
    at committed
    (None, None, None)
    """

    def __init__(self) -> None:
        self.passed: list[str] = []
        self._at = 0
        self._then: Callable[[str], None] | None = None

    def arm(self, at: int, then: Callable[[str], None]) -> None:
        """Call ``then`` with the point's name at the ``at``-th point from now on, counted from 1."""
        self.passed.clear()
        self._at = at
        self._then = then

    def disarm(self) -> None:
        """Do nothing any more."""
        self._then = None

    def reach(self, name: str) -> None:
        """Pass a point."""
        self.passed.append(name)
        then = self._then
        if then is not None and len(self.passed) == self._at:
            self._then = None
            then(name)


class PointedLog:
    """A log whose writers, tails and memberships pass failpoints; it keeps the memberships, to expire them."""

    def __init__(self, log: Log, points: Failpoints) -> None:
        self._log = log
        self._points = points
        self.memberships: list[Membership] = []

    def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is absent."""
        self._log.ensure_topics(specs)

    def partitions(self, topic: str) -> int:
        """Return the topic's partition count."""
        return self._log.partitions(topic)

    def start_offset(self, topic: str, partition: int) -> int:
        """Return the first offset still kept."""
        return self._log.start_offset(topic, partition)

    def high_watermark(self, topic: str, partition: int) -> int:
        """Return the offset after the last record."""
        return self._log.high_watermark(topic, partition)

    def reader(self, topic: str, partition: int, offset: int) -> Reader:
        """Open a reader; what it reads passes no points."""
        self._points.reach("reader")
        return self._log.reader(topic, partition, offset)

    def writer(self, transactional_id: str) -> Writer:
        """Make a writer."""
        return _PointedWriter(self._log.writer(transactional_id), self._points)

    def tail(self, topic: str, partition: int, count: int, since: int = 0, reaching: int = 0) -> list[Record]:
        """Return the last records."""
        self._points.reach("tail")
        return self._log.tail(topic, partition, count, since, reaching)

    def membership(self, group: str, topic: str) -> Membership:
        """Join a group."""
        membership = self._log.membership(group, topic)
        self.memberships.append(membership)
        return membership

    def close(self) -> None:
        """Do nothing: the log is the world's."""


class _PointedWriter:
    __slots__ = ("_points", "_writer")

    def __init__(self, writer: Writer, points: Failpoints) -> None:
        self._writer = writer
        self._points = points

    def open(self) -> None:
        self._points.reach("open")
        self._writer.open()
        self._points.reach("opened")

    def begin(self) -> None:
        self._writer.begin()

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        self._points.reach("send")
        self._writer.send(topic, partition, key, value, headers)

    def first_offset(self, topic: str, partition: int) -> int:
        return self._writer.first_offset(topic, partition)

    def confirmed_ends(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        self._points.reach("ends")
        return self._writer.confirmed_ends(places)

    def commit(self, offsets: Mapping[tuple[str, int], int], group: str) -> None:
        self._points.reach("commit")
        self._writer.commit(offsets, group)
        self._points.reach("committed")

    def abort(self) -> None:
        self._writer.abort()

    def close(self) -> None:
        self._writer.close()


class PointedStore:
    """A local store whose writes pass failpoints."""

    __slots__ = ("_points", "_store")

    def __init__(self, store: KeyValueStore, points: Failpoints) -> None:
        self._store = store
        self._points = points

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key`` or None."""
        return self._store.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the pairs whose key starts with ``prefix``."""
        return self._store.scan(prefix)

    def apply(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> None:
        """Write a batch."""
        self._points.reach("apply")
        self._store.apply(puts, deletes)
        self._points.reach("applied")

    def clear(self) -> None:
        """Delete everything."""
        self._points.reach("clear")
        self._store.clear()

    def close(self) -> None:
        """Release the store."""
        self._store.close()


class PointedPartials:
    """A partial store whose calls pass failpoints."""

    __slots__ = ("_points", "_store")

    def __init__(self, store: PartialStore, points: Failpoints) -> None:
        self._store = store
        self._points = points

    def put(self, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        """Write the entries that are newer."""
        self._points.reach("put")
        return self._store.put(partition, group, entries)

    def put_groups(self, partition: int, groups: Sequence[tuple[str, Sequence[PartialEntry]]]) -> int:
        """Write the entries that are newer, a group at a time: a server may be lost between any two commands."""
        return sum(self.put(partition, group, entries) for group, entries in groups)

    def delete(self, partition: int, group: str, entries: Sequence[tuple[str, int]]) -> None:
        """Delete entities that are not newer."""
        self._points.reach("delete")
        self._store.delete(partition, group, entries)

    def scan(self, partition: int, group: str) -> Iterator[PartialEntry]:
        """Iterate over a partition's group."""
        self._points.reach("scan")
        return self._store.scan(partition, group)

    def scan_packed(self, partition: int, group: str) -> Iterator[Mapping[str, bytes]]:
        """Iterate over a partition's group, many at a time."""
        self._points.reach("scan")
        return self._store.scan_packed(partition, group)

    def read(self, group: str, entities: Sequence[str], partitions: Sequence[int]) -> list[list[PartialEntry | None]]:
        """Look entities up."""
        return self._store.read(group, entities, partitions)

    def marker(self, partition: int) -> int | None:
        """Return the marker."""
        self._points.reach("marker")
        return self._store.marker(partition)

    def mark(self, partition: int, position: int) -> bool:
        """Advance the marker."""
        self._points.reach("mark")
        return self._store.mark(partition, position)

    def begin(self, partition: int) -> None:
        """Announce that everything will be written."""
        self._points.reach("begin")
        self._store.begin(partition)

    def reset(self, partition: int, position: int) -> bool:
        """Set the marker."""
        self._points.reach("reset")
        return self._store.reset(partition, position)

    def clear(self, partition: int, groups: Sequence[str]) -> None:
        """Delete groups and the marker."""
        self._points.reach("clear partials")
        self._store.clear(partition, groups)
