"""A partial store that is watched: no entry may go back, however it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from riverrun.runtime.ports import PartialEntry, PartialsUnavailableError
from riverrun.testing.partial_store import MemoryPartialStore, Shelf

__all__ = ["Outage", "WatchedStore"]


class Outage:
    """Whether the store can be reached; all its clients share it."""

    __slots__ = ("available",)

    def __init__(self) -> None:
        self.available = True


class WatchedStore(MemoryPartialStore):
    """A client of the store.

    Parameters
    ----------
    wrongs
        Takes what was seen to be wrong.
    shelf, outage
        What it shares with other clients.
    """

    def __init__(self, wrongs: list[str], shelf: Shelf | None = None, outage: Outage | None = None) -> None:
        super().__init__(shelf)
        self.outage = Outage() if outage is None else outage
        self._wrongs = wrongs

    def client(self) -> WatchedStore:
        """Return another client."""
        return WatchedStore(self._wrongs, self.shelf, self.outage)

    def put(self, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        """Write, and see that nothing went back."""
        self._reach()
        held = self.shelf.entries.get((partition, group), {})
        before = {entry.entity: held[entry.entity].position for entry in entries if entry.entity in held}
        written = super().put(partition, group, entries)
        held = self.shelf.entries.get((partition, group), {})
        for entity, position in before.items():
            if held[entity].position < position:
                self._wrongs.append(f"partial {group}/{entity} of partition {partition} went back from {position}")
        return written

    def delete(self, partition: int, group: str, entries: Sequence[tuple[str, int]]) -> None:
        """Delete what is not newer."""
        self._reach()
        super().delete(partition, group, entries)

    def scan(self, partition: int, group: str) -> Iterator[PartialEntry]:
        """Iterate over a group."""
        self._reach()
        return super().scan(partition, group)

    def scan_packed(self, partition: int, group: str) -> Iterator[Mapping[str, bytes]]:
        """Iterate over a group, some at a time."""
        self._reach()
        return super().scan_packed(partition, group)

    def read(self, group: str, entities: Sequence[str], partitions: Sequence[int]) -> list[list[PartialEntry | None]]:
        """Look entities up."""
        self._reach()
        return super().read(group, entities, partitions)

    def marker(self, partition: int) -> int | None:
        """Return the marker."""
        self._reach()
        return super().marker(partition)

    def mark(self, partition: int, position: int) -> bool:
        """Advance the marker."""
        self._reach()
        return super().mark(partition, position)

    def begin(self, partition: int) -> None:
        """Announce that everything will be written."""
        self._reach()
        super().begin(partition)

    def reset(self, partition: int, position: int) -> bool:
        """Set the marker."""
        self._reach()
        return super().reset(partition, position)

    def clear(self, partition: int, groups: Sequence[str]) -> None:
        """Delete groups and the marker."""
        self._reach()
        super().clear(partition, groups)

    def _reach(self) -> None:
        if not self.outage.available:
            raise PartialsUnavailableError("the partial store is away")
