"""External inputs of a chain: a reader, decoded records waiting in order, and what is known of those to come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from riverrun.errors import RiverrunError
from riverrun.runtime.ports import Reader, Record
from riverrun.runtime.stage import Positions, cursor

_WAIT = 0.05
_MOST_BYTES = 8 << 20
_CHUNK = 512
"""Most records asked for at a time: a reader that is asked for very many fetches all, however large they are."""

_FIRST_CHUNK = 64

FOREVER = 1 << 62
"""An order beyond every record's."""


class Entry(NamedTuple):
    """A decoded record that waits for its turn."""

    order: int
    item: Any
    cursor: str
    next: int
    offset: int
    timestamp: int


class Decode(Protocol):
    """Turns a record into (order, item, writer, position)."""

    def __call__(self, record: Record) -> tuple[int, Any, int, int]:
        """Decode one record of this input."""
        ...


class Frontier(Protocol):
    """Says which order the records still to come will not be below."""

    def __call__(self, now: float) -> int:
        """Return the bound, at the monotonic time ``now`` in seconds."""
        ...


class ExternalInput:
    """One partition of a topic that a chain reads.

    Drops what is already folded (position below the cursor's next) and refuses a hole, which would be a lost record.

    Parameters
    ----------
    place
        The topic and the partition that are read.
    reader
        Opened at the hint of the stage that is farthest behind.
    decode
        Turns records into items with their order.
    next_positions
        The next position by cursor, shared with nobody.
    dense
        Whether positions have no holes (riverrun's own topics).
    capacity
        Most records kept decoded.

    Attributes
    ----------
    most_bytes
        About how many bytes of records are kept decoded: whoever sends huge records must not fill the memory.
    """

    __slots__ = (
        "_bytes",
        "_capacity",
        "_chunk",
        "_decode",
        "_dense",
        "_names",
        "_next",
        "_quiet_since",
        "buffer",
        "frontier",
        "most_bytes",
        "partition",
        "reader",
        "topic",
    )

    def __init__(
        self,
        place: tuple[str, int],
        reader: Reader,
        decode: Decode,
        next_positions: Positions,
        *,
        dense: bool,
        capacity: int,
    ) -> None:
        self.topic, self.partition = place
        self.reader = reader
        self.buffer: deque[Entry] = deque()
        self.frontier: Frontier | None = None
        self._quiet_since: float | None = None
        self._decode = decode
        self._next = dict(next_positions)
        self._dense = dense
        self._capacity = capacity
        self.most_bytes = _MOST_BYTES
        self._bytes = 0
        self._chunk = _FIRST_CHUNK
        self._names: dict[int, str] = {}

    def fill(self, timeout: float = 0.0) -> int:
        """Read and decode what fits; return how many records were taken in."""
        room = self._capacity - len(self.buffer)
        if not self.buffer:
            self._bytes = 0
        if room < self._capacity // 4:
            return 0
        taken = 0
        while room > 0 and not self.full:
            asked = min(room, self._chunk)
            records = self.reader.poll(asked, timeout)
            if records:
                self._quiet_since = None
                # Counted in, and forgotten when all of them are taken: exact enough, and at next to no cost.
                size = sum([len(record.value) for record in records if record.value is not None])
                self._bytes += size
                # As many of this size as may be kept, but quickly more again when smaller ones come.
                self._chunk = max(1, min(_CHUNK, 2 * self._chunk, self.most_bytes * len(records) // max(1, size)))
            for record in records:
                taken += self._take(record)
            room -= len(records)
            if len(records) < asked:
                break
        return taken

    @property
    def full(self) -> bool:
        """Whether what was read since the buffer was last empty is as much as may be kept."""
        return self._bytes > self.most_bytes

    def _take(self, record: Record) -> int:
        order, item, writer, position = self._decode(record)
        name = self._names.get(writer)
        if name is None:
            name = self._names[writer] = cursor(self.topic, self.partition, writer)
        expected = self._next.get(name, 0)
        if position < expected:
            return 0
        if self._dense and position > expected:
            raise RiverrunError(
                f"{self.topic}[{self.partition}] at offset {record.offset} goes on with position {position} of writer "
                f"{writer}, but {expected} was never seen: records are missing from the log",
                hint="was the topic truncated, or written by another program? `riverrun verify` names what is lost",
            )
        self._next[name] = position + 1
        # Twice as fast as the named tuple's own constructor, for every record that is read.
        self.buffer.append(tuple.__new__(Entry, (order, item, name, position + 1, record.offset, record.timestamp)))
        return 1

    def take_through(self, offset: int) -> list[Entry]:
        """Return all entries of a producers' topic up to an offset that is known to have been read before."""
        taken: list[Entry] = []
        name = cursor(self.topic, self.partition, -1)
        while True:
            while self.buffer and self.buffer[0].offset <= offset:
                taken.append(self.buffer.popleft())
            if self._next.get(name, 0) > offset:
                return taken
            self.fill(_WAIT)

    def expected(self, name: str) -> int:
        """Return the position of the next record to be read of a cursor."""
        return self._next.get(name, 0)

    def bound(self, now: float) -> int:
        """Return the order of the next record, or what it will not be below."""
        if self.buffer:
            # Its silence begins now, not when the last record that waits here is taken.
            self.quiet(now)
            return self.buffer[0].order
        return self.frontier(now) if self.frontier is not None else 0

    def quiet(self, now: float) -> float:
        """Return for how many seconds nothing has come; negative while records are known to be still unread."""
        if not self.reader.at_end:
            self._quiet_since = None
            return -1.0
        if self._quiet_since is None:
            self._quiet_since = now
        return now - self._quiet_since

    def close(self) -> None:
        """Stop reading."""
        self.reader.close()


Clock = Callable[[], float]
"""A monotonic clock in seconds."""


class IdleFrontier:
    """Waits for an empty producers' topic, up to a limit, as Kafka Streams does with ``max.task.idle.ms``.

    While the reader has not reached the end, records are known to exist and are waited for. At the end the limit
    starts to run, once for every time that records came, however many batches are taken meanwhile; when it is over the
    input no longer holds the others up until it has records again. With a limit of 0 an input is waited for only
    while it is known to have records.
    """

    __slots__ = ("_input", "_limit")

    def __init__(self, source: ExternalInput, limit_ms: int) -> None:
        self._input = source
        self._limit = limit_ms / 1000

    def __call__(self, now: float) -> int:
        """Return minus infinity while waiting, infinity when the wait is over."""
        return FOREVER if self._input.quiet(now) >= self._limit else -FOREVER
