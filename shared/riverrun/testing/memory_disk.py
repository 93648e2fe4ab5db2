"""Local stores in memory that outlive the process which wrote them, as files do."""

from __future__ import annotations

from pathlib import Path

from riverrun.runtime.keyed_state import POSITIONS_KEY, decode_positions
from riverrun.testing.key_value import MemoryKeyValueStore

__all__ = ["MemoryDisk"]


class MemoryDisk:
    """One machine's local stores, by folder.

    As with the real ones, a folder has slots: a store that is still held (by a frozen process, say) is left alone, and
    of those that are free the one that got furthest is opened.

    Examples
    --------
    >>> disk = MemoryDisk()
    >>> store = disk.open(Path("labels/0"))
    >>> store.apply({b"a": b"1"}, [])
    >>> disk.open(Path("labels/0")).get(b"a") is None
    True
    >>> store.close()
    >>> disk.open(Path("labels/0")).get(b"a")
    b'1'
    """

    def __init__(self) -> None:
        self._slots: dict[Path, list[MemoryKeyValueStore]] = {}

    def open(self, folder: Path) -> MemoryKeyValueStore:
        """Open the free store in ``folder`` that got furthest, or a new one."""
        slots = self._slots.setdefault(folder, [])
        free = [number for number, store in enumerate(slots) if store.closed]
        if not free:
            slots.append(MemoryKeyValueStore())
            return slots[-1]
        copies = {number: slots[number].copy() for number in free}
        best = max(free, key=lambda number: _furthest(copies[number]))
        slots[best] = copies[best]
        return copies[best]

    def lose(self) -> None:
        """Forget everything, as a new machine's disk."""
        self._slots.clear()


def _furthest(store: MemoryKeyValueStore) -> int:
    stored = store.get(POSITIONS_KEY)
    return sum((decode_positions(stored) or {}).values()) if stored is not None else -1
