"""State of a stage as key-value pairs in a local store, trailing the commits that it reflects."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final, Protocol

from riverrun.records.items import Item
from riverrun.runtime.ports import KeyValueStore

__all__ = ["POSITIONS_KEY", "KeyedPart", "KeyedState", "bounded_key", "decode_positions", "encode_positions"]

POSITIONS_KEY: Final = b"\x00positions"
"""Where the positions are stored. Every key that starts with a zero byte is reserved."""

_FORMAT: Final = 1
_CACHE_BYTES: Final = 16 << 20
_ENTRY_OVERHEAD: Final = 120  # Two bytes objects and a dict slot, roughly.
_LONGEST_PLAIN_KEY: Final = 32
_DIGEST: Final = struct.Struct(">B16s")


class KeyedPart(Protocol):
    """What a core keeps in memory beside a :class:`KeyedState`: stored with it and rebuilt from it."""

    def save(self) -> None:
        """Put into the state whatever is not there yet; called before each write to the store."""
        ...

    def rebuild(self) -> None:
        """Start again from what the state holds now (perhaps nothing); called after each load or reset."""
        ...


class KeyedState:
    """A :class:`~riverrun.runtime.core.TrailingState` over a :class:`~riverrun.runtime.ports.KeyValueStore`.

    Changes gather in memory, the last one of each key winning, until ``flush`` writes all of them with the
    positions that they reflect in one atomic batch. So the store is at all times the fold of exactly the
    input before its positions, whenever the process is killed.

    Parameters
    ----------
    store : KeyValueStore
        Owned from now on: ``close`` closes it.
    cache_bytes : int, default 16 MiB
        Bound of the memory for entries that were read or written lately. Bytes, approximately.

    Examples
    --------
    >>> from riverrun.testing.key_value import MemoryKeyValueStore
    >>> store = MemoryKeyValueStore()
    >>> state = KeyedState(store)
    >>> state.load() is None
    True
    >>> state.put(b"flight", b"pending")
    >>> list(state.flush({"p.events/0/0": 7}))
    []
    >>> KeyedState(store).load()
    {'p.events/0/0': 7}
    """

    __slots__ = ("_dirty", "_half", "_old", "_parts", "_store", "_whole", "_young", "_young_bytes")

    def __init__(self, store: KeyValueStore, *, cache_bytes: int = _CACHE_BYTES) -> None:
        self._store = store
        self._half = cache_bytes // 2
        self._dirty: dict[bytes, bytes | None] = {}
        # Two generations make a cheap approximation of "least recently used": a hit in the old one moves the
        # entry to the young one, and when that is full the old one is dropped whole.
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_bytes = 0
        # While memory holds all that the store does, a key that is not there need not be looked for: most keys that
        # are asked for are new.
        self._whole = False
        self._parts: list[KeyedPart] = []

    def attach(self, part: KeyedPart) -> None:
        """Keep ``part`` in step: it is saved before each write and rebuilt after each load."""
        self._parts.append(part)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, with every change so far, or None."""
        dirty = self._dirty
        if key in dirty:
            return dirty[key]
        value = self._young.get(key)
        if value is not None:
            return value
        value = self._old.get(key)
        if value is None:
            if self._whole:
                return None
            value = self._store.get(key)
            if value is None:
                return None
        self._remember(key, value)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        """Set ``key`` to ``value`` with the next write. ``key`` must not start with a zero byte."""
        self._dirty[key] = value

    def delete(self, key: bytes) -> None:
        """Remove ``key``, if it is there, with the next write."""
        self._dirty[key] = None

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the pairs whose key starts with ``prefix``, in key order, with every change so far."""
        changed = sorted(key for key in self._dirty if key.startswith(prefix))
        changes = iter(changed)
        change = next(changes, None)
        for key, value in self._store.scan(prefix):
            while change is not None and change < key:
                yield from self._changed(change)
                change = next(changes, None)
            if change == key:
                yield from self._changed(key)
                change = next(changes, None)
            else:
                yield key, value
        while change is not None:
            yield from self._changed(change)
            change = next(changes, None)

    def load(self) -> Mapping[str, int] | None:
        """Drop everything in memory and start from the store; return the positions that it reflects.

        Returns
        -------
        mapping or None
            Next position to fold, by cursor. None if nothing (readable) was stored; the store is empty then.
        """
        self._forget()
        stored = self._store.get(POSITIONS_KEY)
        positions = decode_positions(stored) if stored is not None else None
        if positions is None:
            self._store.clear()
            self._whole = True
        for part in self._parts:
            part.rebuild()
        return positions

    def flush(self, positions: Mapping[str, int]) -> Sequence[Item]:
        """Write all changes since the last call, with ``positions``, in one batch.

        Raises
        ------
        UnavailableError
            If the store cannot be written; the changes are kept for the next call.
        """
        for part in self._parts:
            part.save()
        dirty = self._dirty
        puts = {key: value for key, value in dirty.items() if value is not None}
        deletes = [key for key, value in dirty.items() if value is None]
        puts[POSITIONS_KEY] = encode_positions(positions)
        self._store.apply(puts, deletes)
        del puts[POSITIONS_KEY]
        self._dirty = {}
        for key in deletes:
            self._drop(key)
        for key, value in puts.items():
            self._remember(key, value)
        return ()

    def checkpoint(self, positions: Mapping[str, int]) -> None:
        """Write everything not yet stored: the same as ``flush``."""
        self.flush(positions)

    def reset(self) -> None:
        """Forget everything, in the store too."""
        self._forget()
        self._store.clear()
        self._whole = True
        for part in self._parts:
            part.rebuild()

    def close(self) -> None:
        """Close the store. What was not flushed is dropped: it can be folded again from the log."""
        self._forget()
        self._store.close()

    def _changed(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        value = self._dirty.get(key)
        if value is not None:
            yield key, value

    def _forget(self) -> None:
        self._whole = False
        self._dirty = {}
        self._young = {}
        self._old = {}
        self._young_bytes = 0

    def _drop(self, key: bytes) -> None:
        value = self._young.pop(key, None)
        if value is not None:
            self._young_bytes -= len(key) + len(value) + _ENTRY_OVERHEAD
        if self._old:
            self._old.pop(key, None)

    def _remember(self, key: bytes, value: bytes) -> None:
        # What was there is taken out first, from both: only so do the bytes counted stay those that are there, and
        # the old run empty where all of it has been written anew or deleted.
        self._drop(key)
        self._young[key] = value
        self._young_bytes += len(key) + len(value) + _ENTRY_OVERHEAD
        if self._young_bytes > self._half:
            # A store that is emptied as it fills stays in memory whole.
            self._whole = self._whole and not self._old
            self._old = self._young
            self._young = {}
            self._young_bytes = 0


def encode_positions(positions: Mapping[str, int]) -> bytes:
    """Encode positions for the store."""
    return json.dumps({"format": _FORMAT, "positions": dict(positions)}, sort_keys=True).encode()


def decode_positions(stored: bytes) -> dict[str, int] | None:
    """Decode what :func:`encode_positions` made; None if another version of riverrun wrote it.

    Examples
    --------
    >>> decode_positions(encode_positions({"p.events/0/0": 7}))
    {'p.events/0/0': 7}
    >>> decode_positions(b'{"format": 999}') is None
    True
    """
    try:
        document: object = json.loads(stored)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return None
    positions: object = document.get("positions")
    if not isinstance(positions, dict):
        return None
    return {str(name): int(position) for name, position in positions.items()}


def bounded_key(text: str) -> bytes:
    """Turn text that strangers chose into at most 33 bytes that stand for it.

    Short text stays as it is; longer text becomes its 128-bit BLAKE2b digest, in which no two texts will ever
    be found to agree. The first byte tells them apart, and is never zero.

    Examples
    --------
    >>> bounded_key("UA1545")[1:]
    b'UA1545'
    >>> len(bounded_key("x" * 100_000))
    17
    """
    plain = text.encode("utf-8", "surrogatepass")
    if len(plain) <= _LONGEST_PLAIN_KEY:
        return b"\x01" + plain
    return _DIGEST.pack(2, blake2b(plain, digest_size=16).digest())
