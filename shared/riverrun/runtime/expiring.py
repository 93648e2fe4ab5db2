"""A map whose entries are due at a given event time: a million timers in little memory."""

from __future__ import annotations

import struct
from heapq import heapify, heappop, heappush
from typing import Final

from riverrun.runtime.keyed_state import KeyedState

__all__ = ["ExpiringMap"]

_DEADLINE: Final = struct.Struct(">q")
_TIMER: Final = struct.Struct(">qH")
_INDEX: Final = struct.Struct(">IQ")
_BUCKET: Final = struct.Struct(">Q")
_CHUNK: Final = struct.Struct(">QI")
_BUCKET_ZERO: Final = 1 << 63  # Added to a bucket's number, so that numbers before 1970 sort first as well.
_NEVER: Final = 1 << 80
_SHORTEST_BUCKET_MS: Final = 1_000
_BUCKETS: Final = 64


class ExpiringMap:
    """Entries with a deadline in event time, kept in a :class:`KeyedState`.

    Timers lie in buckets of event time. Of a bucket that no watermark has reached, memory holds its number
    and nothing else; when the watermark enters it, its timers are read once, and only those that are due are
    looked at. Overwriting or deleting an entry leaves its old timer behind, which finds nothing when its time
    comes.

    What a call returns depends on the calls before it and nothing else: not on flushes, nor on reloads
    between.

    Parameters
    ----------
    state : KeyedState
        Where entries and timers are kept, under keys that begin with ``prefix``.
    prefix : bytes
        Not empty, not beginning with a zero byte, and no prefix of another's in the same state.
    horizon_ms : int
        How far ahead of the watermark deadlines usually lie, in milliseconds: a 64th of it is a bucket.

    Examples
    --------
    >>> from riverrun.testing.key_value import MemoryKeyValueStore
    >>> waiting = ExpiringMap(KeyedState(MemoryKeyValueStore()), b"w", horizon_ms=60_000)
    >>> waiting.put(b"b", b"second", deadline=2_000)
    >>> waiting.put(b"a", b"first", deadline=1_000)
    >>> waiting.get(b"a")
    b'first'
    >>> waiting.expire(watermark=1_000)
    []
    >>> waiting.expire(watermark=2_001)
    [(b'a', b'first'), (b'b', b'second')]
    """

    __slots__ = (
        "_chunk_prefix",
        "_closed_from",
        "_heap",
        "_index_prefix",
        "_live",
        "_new",
        "_open_below",
        "_passed_from",
        "_state",
        "_value_prefix",
        "_wake",
        "_width",
    )

    def __init__(self, state: KeyedState, prefix: bytes, *, horizon_ms: int) -> None:
        if not prefix or prefix[0] == 0:
            raise ValueError("the prefix must not be empty, and keys that begin with a zero byte are reserved")
        self._state = state
        self._value_prefix = prefix + b"v"
        self._index_prefix = prefix + b"t"
        self._chunk_prefix = prefix + b"c"
        self._width = max(_SHORTEST_BUCKET_MS, horizon_ms // _BUCKETS)
        self._live: dict[int, int] = {}
        self._new: dict[int, bytearray] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._open_below = -_BUCKET_ZERO
        self._closed_from = _NEVER  # No timer in a bucket that is not open yet lies before this.
        self._passed_from = _NEVER  # At this watermark all of the first bucket lies behind.
        self._wake = _NEVER  # Up to this watermark nothing is to be done.
        state.attach(self)

    @property
    def empty(self) -> bool:
        """Whether the map surely holds nothing; False while timers of entries deleted since remain."""
        return not self._live

    def put(self, key: bytes, value: bytes, deadline: int) -> None:
        """Set or replace an entry.

        Parameters
        ----------
        key : bytes
            At most 65,535 bytes.
        value : bytes
            What to keep.
        deadline : int
            Event time in milliseconds; the entry is due once the watermark lies beyond it.
        """
        self._state.put(self._value_prefix + key, _DEADLINE.pack(deadline) + value)
        bucket = deadline // self._width
        new = self._new.get(bucket)
        if new is None:
            new = self._new[bucket] = bytearray()
            self._live.setdefault(bucket, 0)
            self._passed_from = min(self._passed_from, (bucket + 1) * self._width)
        new += _TIMER.pack(deadline, len(key))
        new += key
        if bucket < self._open_below:
            heappush(self._heap, (deadline, key))
        elif deadline < self._closed_from:
            self._closed_from = deadline
        self._wake = min(self._wake, deadline)

    def get(self, key: bytes) -> bytes | None:
        """Return the entry's value, or None if there is none."""
        stored = self._state.get(self._value_prefix + key)
        return None if stored is None else stored[8:]

    def deadline(self, key: bytes) -> int | None:
        """Return the entry's deadline, or None if there is no such entry."""
        stored = self._state.get(self._value_prefix + key)
        if stored is None:
            return None
        deadline: int = _DEADLINE.unpack_from(stored)[0]
        return deadline

    def delete(self, key: bytes) -> None:
        """Remove the entry, if it is there."""
        self._state.delete(self._value_prefix + key)

    def is_due(self, watermark: int) -> bool:
        """Tell whether `expire` may have something to do."""
        return watermark > self._wake

    def expire(self, watermark: int) -> list[tuple[bytes, bytes]]:
        """Remove and return the entries that are due: those whose deadline is less than ``watermark``.

        Returns
        -------
        list of (key, value)
            By deadline, and by key where deadlines are equal.
        """
        if watermark <= self._wake:
            return []
        heap, state = self._heap, self._state
        due: list[tuple[bytes, bytes]] = []
        if watermark > self._closed_from:
            self._open((watermark - 1) // self._width + 1)
        while heap and heap[0][0] < watermark:
            deadline, key = heappop(heap)
            stored_key = self._value_prefix + key
            stored = state.get(stored_key)
            if stored is not None and _DEADLINE.unpack_from(stored)[0] == deadline:
                state.delete(stored_key)
                due.append((key, stored[8:]))
        if watermark >= self._passed_from:
            self._drop_passed(watermark // self._width)
        self._wake = self._next_wake()
        return due

    def save(self) -> None:
        """Put the timers made since the last save into the state, one chunk a bucket."""
        for bucket, timers in self._new.items():
            number = self._live[bucket]
            self._state.put(self._chunk_key(bucket, number), bytes(timers))
            self._state.put(self._index_key(bucket), _INDEX.pack(number + 1, self._width))
            self._live[bucket] = number + 1
        self._new.clear()

    def rebuild(self) -> None:
        """Read which buckets there are."""
        start = len(self._index_prefix)
        self._live = {}
        for key, stored in self._state.scan(self._index_prefix):
            # Where the horizon has been changed since, the buckets that are there still set the width of new
            # ones.
            chunks, self._width = _INDEX.unpack(stored)
            self._live[_BUCKET.unpack_from(key, start)[0] - _BUCKET_ZERO] = chunks
        self._new = {}
        self._heap = []
        self._open_below = -_BUCKET_ZERO
        self._closed_from = self._first_closed()
        self._passed_from = self._first_passed()
        self._wake = self._next_wake()

    def _open(self, below: int) -> None:
        """Take the timers of the buckets before ``below`` into memory."""
        opened = [bucket for bucket in self._live if self._open_below <= bucket < below]
        self._open_below = max(self._open_below, below)
        self._closed_from = self._first_closed()
        for bucket in opened:
            for number in range(self._live[bucket]):
                chunk = self._state.get(self._chunk_key(bucket, number))
                if chunk is not None:
                    self._read_timers(chunk)
            self._read_timers(self._new.get(bucket, b""))
        heapify(self._heap)

    def _read_timers(self, timers: bytes | bytearray) -> None:
        offset, end, heap = 0, len(timers), self._heap
        while offset < end:
            deadline, length = _TIMER.unpack_from(timers, offset)
            offset += _TIMER.size
            heap.append((deadline, bytes(timers[offset : offset + length])))
            offset += length

    def _drop_passed(self, before: int) -> None:
        """Delete the buckets before ``before``: every timer in them has been looked at."""
        for bucket in [bucket for bucket in self._live if bucket < before]:
            chunks = self._live.pop(bucket)
            self._new.pop(bucket, None)
            if chunks:
                self._state.delete(self._index_key(bucket))
            for number in range(chunks):
                self._state.delete(self._chunk_key(bucket, number))
        self._passed_from = self._first_passed()

    def _first_closed(self) -> int:
        return min((bucket * self._width for bucket in self._live if bucket >= self._open_below), default=_NEVER)

    def _first_passed(self) -> int:
        return (min(self._live) + 1) * self._width if self._live else _NEVER

    def _next_wake(self) -> int:
        wake = min(self._closed_from, self._passed_from - 1)
        return min(wake, self._heap[0][0]) if self._heap else wake

    def _index_key(self, bucket: int) -> bytes:
        return self._index_prefix + _BUCKET.pack(bucket + _BUCKET_ZERO)

    def _chunk_key(self, bucket: int, number: int) -> bytes:
        return self._chunk_prefix + _CHUNK.pack(bucket + _BUCKET_ZERO, number)
