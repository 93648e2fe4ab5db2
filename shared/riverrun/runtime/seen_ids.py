"""The ids of the events accepted lately: what tells a duplicate."""

from __future__ import annotations

from riverrun.runtime.expiring import ExpiringMap
from riverrun.runtime.keyed_state import KeyedState, bounded_key

__all__ = ["SeenIds"]


class SeenIds:
    """Remembers ids for a horizon of event time.

    An id of time *t* is forgotten once the watermark lies beyond *t* + horizon. Since that is a fold like any
    other, the watermark must be told after every record in turn (it costs one comparison when nothing is
    due): told once a batch, the answers would depend on where batches end.

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
    >>> ids.expire(watermark=1_501)
    1
    >>> ids.seen("e1", time=500)
    False
    """

    __slots__ = ("_horizon", "_ids")

    def __init__(self, state: KeyedState, *, horizon_ms: int, prefix: bytes = b"i") -> None:
        self._horizon = horizon_ms
        self._ids = ExpiringMap(state, prefix, horizon_ms=horizon_ms)

    def seen(self, event_id: str, time: int) -> bool:
        """Tell whether ``event_id`` is remembered and ``time`` (milliseconds) lies within its horizon."""
        deadline = self._ids.deadline(bounded_key(event_id))
        return deadline is not None and time <= deadline

    def add(self, event_id: str, time: int) -> None:
        """Remember ``event_id``, whose event time is ``time`` (milliseconds)."""
        self._ids.put(bounded_key(event_id), b"", time + self._horizon)

    def expire(self, watermark: int) -> int:
        """Forget the ids whose horizon ends before ``watermark`` (milliseconds); return how many."""
        return len(self._ids.expire(watermark))
