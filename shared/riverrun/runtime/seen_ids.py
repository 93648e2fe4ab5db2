"""The ids of the events accepted lately: what tells a duplicate."""

from __future__ import annotations

import struct
from typing import Final

from riverrun.runtime.expiring import ExpiringMap
from riverrun.runtime.keyed_state import KeyedState, bounded_key

__all__ = ["SeenIds"]

_WATERMARK: Final = struct.Struct(">q")


class SeenIds:
    """Remembers ids for a horizon of event time.

    An id that is added when the watermark (the greatest time added) is *w* is forgotten once the watermark lies
    beyond *w* + horizon: an event that is late when it is accepted, perhaps since it was a dead letter before, is
    remembered as long as any other. The watermark is part of the state, so that what is remembered depends on the
    additions alone, however often the state was restored between.

    Parameters
    ----------
    state : KeyedState
        Where the ids are kept, under keys that begin with ``prefix``.
    horizon_ms : int
        How long to remember, in milliseconds of event time.
    prefix : bytes, default b"i"
        As for :class:`~riverrun.runtime.expiring.ExpiringMap`.

    Examples
    --------
    >>> from riverrun.testing.key_value import MemoryKeyValueStore
    >>> ids = SeenIds(KeyedState(MemoryKeyValueStore()), horizon_ms=1_000)
    >>> ids.add("e1", time=500)
    >>> ids.seen("e1", time=900), ids.seen("e1", time=1_501), ids.seen("e2", time=900)
    (True, False, False)
    >>> ids.add("late", time=100)
    >>> ids.add("e3", time=1_500)
    >>> ids.seen("e1", time=500), ids.seen("late", time=100)
    (True, True)
    >>> ids.add("e4", time=1_501)
    >>> ids.seen("e1", time=500), ids.seen("late", time=100)
    (False, False)
    """

    __slots__ = ("_horizon", "_ids", "_key", "_state", "_watermark")

    def __init__(self, state: KeyedState, *, horizon_ms: int, prefix: bytes = b"i") -> None:
        self._horizon = horizon_ms
        self._state = state
        self._key = prefix + b"w"
        self._watermark = 0
        self._ids = ExpiringMap(state, prefix, horizon_ms=horizon_ms)
        state.attach(self)

    def seen(self, event_id: str, time: int) -> bool:
        """Tell whether ``event_id`` is remembered and ``time`` (milliseconds) lies within its horizon."""
        deadline = self._ids.deadline(bounded_key(event_id))
        return deadline is not None and time <= deadline

    def add(self, event_id: str, time: int) -> None:
        """Remember ``event_id``, whose event time is ``time`` (milliseconds); forget those whose horizon has ended."""
        self._remember(bounded_key(event_id), time)

    def take(self, event_id: str, time: int) -> bool:
        """Tell whether ``event_id`` is new, and if so remember it: `seen` and `add` in one."""
        key = bounded_key(event_id)
        deadline = self._ids.deadline(key)
        if deadline is not None and time <= deadline:
            return False
        self._remember(key, time)
        return True

    def _remember(self, key: bytes, time: int) -> None:
        watermark = self._watermark = max(self._watermark, time)
        self._ids.put(key, b"", watermark + self._horizon)
        self._ids.expire(watermark)

    def save(self) -> None:
        """Put the watermark into the state."""
        self._state.put(self._key, _WATERMARK.pack(self._watermark))

    def rebuild(self) -> None:
        """Take over the state's watermark, or start from nothing."""
        stored = self._state.get(self._key)
        self._watermark = 0 if stored is None else _WATERMARK.unpack(stored)[0]
