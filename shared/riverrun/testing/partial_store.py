"""A partial store in memory, for tests: what the one in Redis does, less the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from riverrun.runtime.packed import pack
from riverrun.runtime.ports import PartialEntry, PartialsUnavailableError

__all__ = ["MemoryPartialStore", "Shelf"]


class Shelf:
    """What all clients share: entries by partition and group, the partitions' markers, and who writes one anew.

    And what the last write to each partition has left, by which its writer knows that it is still there.
    """

    __slots__ = ("entries", "markers", "rewriting", "steps")

    def __init__(self) -> None:
        self.entries: dict[tuple[int, str], dict[str, PartialEntry]] = {}
        self.markers: dict[int, int] = {}
        self.rewriting: dict[int, object] = {}
        self.steps: dict[int, object] = {}

    def copy(self) -> Shelf:
        """Return what a server that restarts now would find in its files."""
        copy = Shelf()
        copy.entries = {key: dict(held) for key, held in self.entries.items()}
        copy.markers, copy.rewriting, copy.steps = dict(self.markers), dict(self.rewriting), dict(self.steps)
        return copy


class MemoryPartialStore:
    """A ``PartialStore`` that puts if newer and can be wiped or made unavailable.

    Parameters
    ----------
    shelf : Shelf, optional
        What is stored already; an empty one by default.

    Attributes
    ----------
    reads : int
        How many times ``read`` was called: each would be a round trip.
    available : bool
        While False, every call raises ``PartialsUnavailableError``.
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

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.reads = 0
        self.available = True
        self.fail_after: int | None = None
        self.shelf = Shelf() if shelf is None else shelf
        # A marker that falls behind where this client has seen it tells that the store lost writes.
        self._marked: dict[int, int] = {}
        self._tokens: dict[int, object] = {}
        # What this client's last write has left, since it last moved the marker; None once that was found to be lost.
        self._steps: dict[int, object | None] = {}

    def client(self) -> MemoryPartialStore:
        """Return another client of the same store, as another process would have."""
        return MemoryPartialStore(self.shelf)

    def _check(self, *, writes: bool = False) -> None:
        if writes and self.fail_after is not None:
            if self.fail_after <= 0:
                self.available = False
            self.fail_after -= 1
        if not self.available:
            raise PartialsUnavailableError("the partial store in memory was told to be unavailable")

    def put(self, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        """Write the entries that are newer than what is stored; return how many were."""
        self._check(writes=True)
        kept = self._kept(partition)
        self._steps[partition] = object() if kept else None
        self.shelf.steps[partition] = self._steps[partition]
        held = self.shelf.entries.setdefault((partition, group), {})
        written = 0
        for entry in entries:
            stored = held.get(entry.entity)
            if stored is None or entry.position > stored.position:
                held[entry.entity] = entry
                written += 1
        return written

    def put_groups(self, partition: int, groups: Sequence[tuple[str, Sequence[PartialEntry]]]) -> int:
        """Write the entries of several groups that are newer; return how many were.

        It may fail in between, as a server may be lost between two commands of one round trip.
        """
        return sum(self.put(partition, group, entries) for group, entries in groups)

    def _kept(self, partition: int) -> bool:
        """Tell whether what was written since the marker moved is still there."""
        return partition not in self._steps or (
            self._steps[partition] is not None and self.shelf.steps.get(partition) is self._steps[partition]
        )

    def delete(self, partition: int, group: str, entries: Sequence[tuple[str, int]]) -> None:
        """Delete entities whose stored position is not newer than the given one."""
        self._check(writes=True)
        held = self.shelf.entries.get((partition, group), {})
        for name, position in entries:
            if name in held and held[name].position <= position:
                del held[name]

    def scan(self, partition: int, group: str) -> Iterator[PartialEntry]:
        """Iterate over all entries of a partition's group, as they are at this moment."""
        self._check()
        return iter(list(self.shelf.entries.get((partition, group), {}).values()))

    def scan_packed(self, partition: int, group: str) -> Iterator[Mapping[str, bytes]]:
        """Iterate over all entries of a partition's group, two at a time."""
        entries = list(self.scan(partition, group))
        for start in range(0, len(entries), 2):
            yield {name: pack(position, value) for name, position, value in entries[start : start + 2]}

    def read(self, group: str, entities: Sequence[str], partitions: Sequence[int]) -> list[list[PartialEntry | None]]:
        """Return, for each entity, its entry in each of the partitions."""
        self._check()
        self.reads += 1
        return [[self.shelf.entries.get((place, group), {}).get(name) for place in partitions] for name in entities]

    def marker(self, partition: int) -> int | None:
        """Return the position that the partition's state is complete to, or None when it was wiped."""
        self._check()
        marker = self.shelf.markers.get(partition)
        if marker is None:
            self._marked.pop(partition, None)
        else:
            self._marked[partition] = marker
        return marker

    def mark(self, partition: int, position: int) -> bool:
        """Advance the marker (never back). Return False if it was absent, or behind where this client had seen it."""
        self._check(writes=True)
        known = self._marked.get(partition, 0)
        marker = self.shelf.markers.get(partition)
        if marker is None or marker < known or not self._kept(partition):
            return False
        self._steps.pop(partition, None)
        self.shelf.markers[partition] = max(marker, position)
        self._marked[partition] = max(known, position)
        return True

    def begin(self, partition: int) -> None:
        """Announce that everything will be written anew; delete the marker."""
        self._check(writes=True)
        self.shelf.rewriting[partition] = self._tokens[partition] = object()
        self.shelf.markers.pop(partition, None)
        self._marked.pop(partition, None)
        self._steps.pop(partition, None)

    def reset(self, partition: int, position: int) -> bool:
        """Create the marker after everything was rewritten; False if others have cleared or begun since ``begin``."""
        self._check(writes=True)
        token = self._tokens.pop(partition, None)
        if token is not None and self.shelf.rewriting.get(partition) is not token:
            return False
        if not self._kept(partition):
            return False
        self._steps.pop(partition, None)
        self.shelf.rewriting.pop(partition, None)
        self.shelf.markers[partition] = position
        self._marked[partition] = position
        return True

    def clear(self, partition: int, groups: Sequence[str]) -> None:
        """Delete the marker and all entries of these groups."""
        self._check(writes=True)
        self.shelf.markers.pop(partition, None)
        self.shelf.rewriting.pop(partition, None)
        self.shelf.steps.pop(partition, None)
        self._marked.pop(partition, None)
        for group in groups:
            self.shelf.entries.pop((partition, group), None)

    def wipe(self) -> None:
        """Lose everything, as Redis does when it restarts without its files."""
        self.shelf.entries.clear()
        self.shelf.markers.clear()
        self.shelf.rewriting.clear()
        self.shelf.steps.clear()
