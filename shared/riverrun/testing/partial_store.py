"""A partial store in memory, for tests: what the one in Redis does, less the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from riverrun.errors import UnavailableError
from riverrun.runtime.ports import PartialEntry

__all__ = ["MemoryPartialStore"]


class MemoryPartialStore:
    """A ``PartialStore`` that puts if newer and can be wiped or made unavailable.

    Attributes
    ----------
    reads : int
        How many times ``read`` was called: each would be a round trip.
    available : bool
        While False, every call raises ``UnavailableError``.
    fail_after : int or None
        After so many more writing calls, become unavailable: a crash in the midst of a flush.

    Examples
    --------
    >>> store = MemoryPartialStore()
    >>> store.put(0, "origin", [PartialEntry("JFK", 7, b"new")])
    1
    >>> store.put(0, "origin", [PartialEntry("JFK", 6, b"old")])
    0
    >>> store.read("origin", ["JFK"], [0, 1])
    [[PartialEntry(entity='JFK', position=7, value=b'new'), None]]
    """

    def __init__(self) -> None:
        self.reads = 0
        self.available = True
        self.fail_after: int | None = None
        self._entries: dict[tuple[int, str], dict[str, PartialEntry]] = {}
        self._markers: dict[int, int] = {}

    def _check(self, *, writes: bool = False) -> None:
        if writes and self.fail_after is not None:
            if self.fail_after <= 0:
                self.available = False
            self.fail_after -= 1
        if not self.available:
            raise UnavailableError("the partial store in memory was told to be unavailable")

    def put(self, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        """Write the entries that are newer than what is stored; return how many were."""
        self._check(writes=True)
        held = self._entries.setdefault((partition, group), {})
        written = 0
        for entry in entries:
            stored = held.get(entry.entity)
            if stored is None or entry.position > stored.position:
                held[entry.entity] = entry
                written += 1
        return written

    def delete(self, partition: int, group: str, entries: Sequence[tuple[str, int]]) -> None:
        """Delete entities whose stored position is not newer than the given one."""
        self._check(writes=True)
        held = self._entries.get((partition, group), {})
        for name, position in entries:
            if name in held and held[name].position <= position:
                del held[name]

    def scan(self, partition: int, group: str) -> Iterator[PartialEntry]:
        """Iterate over all entries of a partition's group, as they are at this moment."""
        self._check()
        return iter(list(self._entries.get((partition, group), {}).values()))

    def read(self, group: str, entities: Sequence[str], partitions: Sequence[int]) -> list[list[PartialEntry | None]]:
        """Return, for each entity, its entry in each of the partitions."""
        self._check()
        self.reads += 1
        return [[self._entries.get((place, group), {}).get(name) for place in partitions] for name in entities]

    def marker(self, partition: int) -> int | None:
        """Return the position that the partition's state is complete to, or None when it was wiped."""
        self._check()
        return self._markers.get(partition)

    def mark(self, partition: int, position: int) -> bool:
        """Advance the marker (never back). Return False if it was absent."""
        self._check(writes=True)
        if partition not in self._markers:
            return False
        self._markers[partition] = max(self._markers[partition], position)
        return True

    def reset(self, partition: int, position: int) -> None:
        """Create the marker after everything was rewritten."""
        self._check(writes=True)
        self._markers[partition] = position

    def wipe(self) -> None:
        """Lose everything, as Redis does when it restarts without its files."""
        self._entries.clear()
        self._markers.clear()
