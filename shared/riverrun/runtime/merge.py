"""Merges a chain's external inputs into the one order in which they are folded."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.runtime.inputs import Entry, ExternalInput


class Merge:
    """Takes the record with the smallest order first; an empty input holds back what may come after its next.

    Among equal orders the input named first goes first, so the result depends on the inputs alone.
    """

    __slots__ = ("_inputs",)

    def __init__(self, inputs: Sequence[ExternalInput]) -> None:
        self._inputs = tuple(inputs)

    def fill(self) -> int:
        """Read what is there into the inputs' buffers; return how many records came in."""
        return sum(source.fill() for source in self._inputs)

    def take(self, limit: int, now: float) -> list[Entry]:
        """Return up to ``limit`` entries in order, as far as the order is certain, and fewer if they are huge."""
        if len(self._inputs) == 1:
            buffer = self._inputs[0].buffer
            return [buffer.popleft() for _ in range(min(limit, len(buffer)))]
        taken: list[Entry] = []
        bounds = [source.bound(now) for source in self._inputs]
        while len(taken) < limit:
            lowest = min(bounds)
            index = bounds.index(lowest)
            source = self._inputs[index]
            buffer = source.buffer
            if not buffer:
                break
            entry = buffer.popleft()
            taken.append(entry)
            if buffer:
                bounds[index] = buffer[0].order
            elif source.full:
                # Huge records: enough for one transaction.
                break
            else:
                source.fill()
                bounds[index] = source.bound(now)
        return taken

    def close(self) -> None:
        """Close all inputs."""
        for source in self._inputs:
            source.close()
