"""The predictions that labels may still belong to, found by join value and by deadline."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from riverrun.runtime.expiring import ExpiringMap
from riverrun.runtime.keyed_state import KeyedState

__all__ = ["ENDED", "PENDING", "RESOLVED", "Entry", "PredictionBook"]

PENDING: Final = 0
"""Waits for its label."""
RESOLVED: Final = 1
"""Has its label; remembered, in case that another one comes."""
ENDED: Final = 2
"""Its wait was over before a label came; remembered, so that a late one is known for what it is."""

_HEADER: Final = struct.Struct(">BqdB")
_SEQ: Final = struct.Struct(">Q")


class Entry(NamedTuple):
    """A prediction in the book.

    Attributes
    ----------
    seq : int
        The prediction's position in its topic.
    status : int
        ``PENDING``, ``RESOLVED`` or ``ENDED``.
    event_seq : int
        The position of the event that was predicted on.
    label : float
        The label of a resolved prediction.
    join : bytes
        The join value as :func:`~riverrun.runtime.keyed_state.bounded_key` made it.
    payload : bytes
        The prediction, encoded; empty for an ended one.
    """

    seq: int
    status: int
    event_seq: int
    label: float
    join: bytes
    payload: bytes


class PredictionBook:
    """Predictions by position, with an index by join value, each until its deadline.

    Parameters
    ----------
    state : KeyedState
        Where they are kept, under keys that begin with ``p`` and ``j``.
    horizon_ms : int
        How far ahead deadlines usually lie, in milliseconds.
    """

    __slots__ = ("_entries", "_state")

    def __init__(self, state: KeyedState, *, horizon_ms: int) -> None:
        self._state = state
        self._entries = ExpiringMap(state, b"p", horizon_ms=horizon_ms)

    def add(self, entry: Entry, deadline: int) -> None:
        """Enter a prediction for the first time."""
        self.update(entry, deadline)
        index = b"j" + entry.join
        others = self._state.get(index)
        seq = _SEQ.pack(entry.seq)
        self._state.put(index, seq if others is None else others + seq)

    def update(self, entry: Entry, deadline: int) -> None:
        """Replace a prediction's entry and its deadline."""
        seq, status, event_seq, label, join, payload = entry
        self._entries.put(_SEQ.pack(seq), _HEADER.pack(status, event_seq, label, len(join)) + join + payload, deadline)

    def matching(self, join: bytes) -> list[Entry]:
        """Return the predictions with this join value, in the order in which they were entered."""
        index = self._state.get(b"j" + join)
        if index is None:
            return []
        found = []
        for offset in range(0, len(index), _SEQ.size):
            key = index[offset : offset + _SEQ.size]
            value = self._entries.get(key)
            if value is not None:
                found.append(_entry(key, value))
        return found

    def is_due(self, watermark: int) -> bool:
        """Tell whether some predictions may be due."""
        return self._entries.is_due(watermark)

    def due(self, watermark: int) -> list[Entry]:
        """Remove and return the predictions due: deadline less than ``watermark``, by deadline and position.

        They stay in the index until they are either entered again by ``update`` or given to ``forget``.
        """
        return [_entry(key, value) for key, value in self._entries.expire(watermark)]

    def remove(self, entry: Entry) -> None:
        """Strike a prediction out before its deadline."""
        self._entries.delete(_SEQ.pack(entry.seq))
        self.forget(entry)

    def forget(self, entry: Entry) -> None:
        """Take a removed prediction out of the index."""
        index = b"j" + entry.join
        members = self._state.get(index)
        if members is None:
            return
        gone = _SEQ.pack(entry.seq)
        kept = b"".join(
            member
            for offset in range(0, len(members), _SEQ.size)
            if (member := members[offset : offset + _SEQ.size]) != gone
        )
        if kept:
            self._state.put(index, kept)
        else:
            self._state.delete(index)


def _entry(key: bytes, value: bytes) -> Entry:
    status, event_seq, label, length = _HEADER.unpack_from(value)
    start = _HEADER.size
    seq: int = _SEQ.unpack(key)[0]
    return Entry(seq, status, event_seq, label, value[start : start + length], value[start + length :])
