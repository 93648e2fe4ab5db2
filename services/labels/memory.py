"""The few numbers of the labels stage's fold that are no entries of a map."""

from __future__ import annotations

import struct
from typing import Final

from riverrun.runtime.keyed_state import KeyedState

__all__ = ["LabelsMemory"]

_KEY: Final = b"m"
_NUMBERS: Final = struct.Struct(">qQQQ")


class LabelsMemory:
    """Held in memory, stored with the rest of the state at each write.

    Attributes
    ----------
    watermark : int
        The greatest event time folded, in milliseconds; 0 before the first.
    pending : int
        Predictions that have not ended.
    next_prediction, next_event : int
        Positions of the first prediction and event not folded.
    """

    __slots__ = ("_state", "next_event", "next_prediction", "pending", "watermark")

    def __init__(self, state: KeyedState) -> None:
        self._state = state
        self.watermark = 0
        self.pending = 0
        self.next_prediction = 0
        self.next_event = 0
        state.attach(self)

    def save(self) -> None:
        """Put everything into the state."""
        numbers = _NUMBERS.pack(self.watermark, self.pending, self.next_prediction, self.next_event)
        self._state.put(_KEY, numbers)

    def rebuild(self) -> None:
        """Take over what the state holds, or start from nothing."""
        stored = self._state.get(_KEY)
        if stored is None:
            self.watermark = self.pending = self.next_prediction = self.next_event = 0
        else:
            self.watermark, self.pending, self.next_prediction, self.next_event = _NUMBERS.unpack(stored)
