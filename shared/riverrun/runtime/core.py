"""What a stage is to the runtime: a pure core and the trailing states that cache its fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, TypeGuard, runtime_checkable

from riverrun.records.items import Item


class Core(Protocol):
    """A deterministic fold over items: no clock, no unseeded randomness, no input or output.

    ``step`` folds one item and returns what follows from it, in order. The runtime numbers, encodes and writes
    the outputs and hands them to the stages chained behind, depth first, before the next item. What an item is
    depends on the stage: its inputs' item classes.
    """

    def step(self, item: Any) -> Iterable[Item]:
        """Fold one item; return the outputs that it causes (an empty tuple for none)."""
        ...

    def replay(self, item: Any) -> None:
        """Fold one item again, quietly, to bring restored state up to the committed position.

        State may be partly ahead of the item (each piece has its own position); such pieces must not fold it twice.
        """
        ...

    def prefetch(self, items: Sequence[Any]) -> None:
        """Fetch, in one round trip, what a batch of items will need from outside the partition. Often nothing."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Return the cumulative counts that are part of the fold and committed with it."""
        ...

    def resume(self, counters: Mapping[str, int], watermark: int) -> None:
        """Take over the committed counters and watermark, after state was loaded and replayed."""
        ...

    @property
    def watermark(self) -> int:
        """The greatest event time folded, in milliseconds; 0 before the first."""
        ...


class TrailingState(Protocol):
    """A cache of a fold, stored with the input positions that it reflects, written only after their commit.

    Positions are a mapping from ``"topic/partition/writer"`` to the next position to fold.
    """

    def load(self) -> Mapping[str, int] | None:
        """Load what was stored; return its positions, or None if there is nothing (or it was lost)."""
        ...

    def flush(self, positions: Mapping[str, int]) -> Sequence[Item]:
        """Write what changed, with the positions reached; return items that may be sent now that it is stored.

        Raises ``UnavailableError`` if the store is away: the change is kept and tried again.
        """
        ...

    def checkpoint(self, positions: Mapping[str, int]) -> None:
        """Write everything not yet stored, as a drain does; for most states the same as ``flush``."""
        ...

    def reset(self) -> None:
        """Forget what was stored: it is not a cache of this log."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


@runtime_checkable
class WritesAhead(Protocol):
    """A trailing state that bears to be written little by little."""

    def write_ahead(self) -> bool:
        """Write some of what changed, so that the next ``flush`` has less to write; only then it counts as stored.

        Returns whether it was as much as may be at a time: there may be more.
        Raises ``UnavailableError`` if the store is away: the change is kept.
        """
        ...


@runtime_checkable
class WantsWriting(TrailingState, Protocol):
    """A trailing state that others wait for now and then: they are told what was written."""

    def wants_writing(self) -> bool:
        """Tell whether a ``flush`` now would return items that somebody waits for."""
        ...


def writes_ahead(state: TrailingState) -> TypeGuard[WritesAhead]:
    """Tell whether a state bears to be written little by little."""
    return _provides(type(state), WritesAhead)


def wants_writing(state: TrailingState) -> TypeGuard[WantsWriting]:
    """Tell whether others wait for a state to be written."""
    return _provides(type(state), WantsWriting)


@cache
def _provides(kind: type, protocol: type) -> bool:
    """Look for a protocol's methods in a class: once, since looking takes longer than what is then called."""
    return issubclass(kind, protocol)
