"""Labels that came before any prediction of theirs."""

from __future__ import annotations

import struct
from typing import Final

from riverrun.runtime.expiring import ExpiringMap
from riverrun.runtime.keyed_state import KeyedState

__all__ = ["EarlyLabels"]

_LABEL: Final = struct.Struct(">Bdq")
_UNUSED: Final = 0
_USED: Final = 1


class EarlyLabels:
    """The latest early label of each join value, until the watermark lies beyond its time + wait.

    Parameters
    ----------
    state : KeyedState
        Where they are kept, under keys that begin with ``e``.
    wait_ms : int
        How long each is kept, in milliseconds of event time.
    """

    __slots__ = ("_labels", "_wait")

    def __init__(self, state: KeyedState, *, wait_ms: int) -> None:
        self._labels = ExpiringMap(state, b"e", horizon_ms=wait_ms)
        self._wait = wait_ms

    def known(self, join: bytes) -> bool:
        """Tell whether there is a label for ``join``."""
        return not self._labels.empty and self._labels.get(join) is not None

    def keep(self, join: bytes, label: float, time: int) -> None:
        """Keep a label that no prediction has used yet."""
        self._labels.put(join, _LABEL.pack(_UNUSED, label, time), time + self._wait)

    def replace(self, join: bytes, label: float, time: int) -> None:
        """Put a later label in the place of the one that is there."""
        stored = self._labels.get(join)
        used = _UNUSED if stored is None else stored[0]
        self._labels.put(join, _LABEL.pack(used, label, time), time + self._wait)

    def take(self, join: bytes, deadline: int) -> tuple[float, int] | None:
        """Return the label for ``join`` and its event time, if there is one of a time up to ``deadline``.

        It stays, and counts as used.
        """
        if self._labels.empty:
            return None
        stored = self._labels.get(join)
        if stored is None:
            return None
        used, label, time = _LABEL.unpack(stored)
        if time > deadline:
            return None
        if used == _UNUSED:
            self._labels.put(join, _LABEL.pack(_USED, label, time), time + self._wait)
        return label, time

    def is_due(self, watermark: int) -> bool:
        """Tell whether some labels' time may be over."""
        return self._labels.is_due(watermark)

    def expire(self, watermark: int) -> int:
        """Forget the labels whose time is over; return how many of them no prediction has used."""
        return sum(value[0] == _UNUSED for _, value in self._labels.expire(watermark))
