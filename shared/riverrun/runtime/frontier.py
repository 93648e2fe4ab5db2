"""How far a stage's input is complete, in events: lets stages that run apart fold in the order of a chain."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from riverrun.records.items import Progress
from riverrun.runtime.inputs import ExternalInput
from riverrun.runtime.ports import Reader
from riverrun.runtime.wire import Wire


class Hop(NamedTuple):
    """A stage between ``events`` and the input in question, with its input and output topic."""

    stage: str
    source: str
    target: str


class UpstreamFrontier:
    """Bounds the order of records still to come on an input, from the commit records of the stages before it.

    A commit record of ``features`` says: events below N made the vectors below V. One of ``score``: vectors below V
    made the predictions below Q. So once Q predictions were read, none to come stems from an event below N, and
    ``labels`` may fold event N - 1. Without it, a label and its prediction could meet in either order.
    """

    def __init__(self, source: ExternalInput, name: str, reader: Reader, wire: Wire, hops: Sequence[Hop]) -> None:
        self._source = source
        self._name = name
        self._reader = reader
        self._wire = wire
        self._hops = tuple(hops)
        self._folded = [0] * len(hops)
        self._made = [0] * len(hops)
        # For each hop: (events complete below, this hop's output count that proves it), oldest first.
        self._proofs: list[deque[tuple[int, int]]] = [deque() for _ in hops]
        self._complete = 0

    def __call__(self, now: float) -> int:
        """Return twice the first event that may still cause a record here (the order of `Wire.decoder`)."""
        del now
        for record in self._reader.poll(1_000):
            self.offer(self._wire.progress(record))
        read = self._source.expected(self._name)
        proofs = self._proofs[-1]
        while proofs and proofs[0][1] <= read:
            self._complete = max(self._complete, proofs.popleft()[0])
        return 2 * self._complete

    @property
    def settled(self) -> bool:
        """Whether it says all that can be said now: a record waits, or every commit record was read."""
        return bool(self._source.buffer) or self._reader.at_end

    def offer(self, progress: Progress) -> None:
        """Take in a commit record; those of other stages are passed over."""
        for index, hop in enumerate(self._hops):
            if hop.stage == progress.stage:
                self._folded[index] = sum(place.next for place in progress.inputs if place.topic == hop.source)
                self._made[index] = progress.outputs.get(hop.target, 0)
                self._propagate(index)
                return

    def _propagate(self, first: int) -> None:
        for index in range(first, len(self._hops)):
            if index == 0:
                complete = self._folded[0]
            else:
                before = self._proofs[index - 1]
                complete = -1
                while before and before[0][1] <= self._folded[index]:
                    complete = before.popleft()[0]
            if complete < 0:
                return
            proofs = self._proofs[index]
            if proofs and proofs[-1][1] == self._made[index]:
                proofs.pop()
            proofs.append((complete, self._made[index]))

    def close(self) -> None:
        """Stop reading commit records."""
        self._reader.close()
