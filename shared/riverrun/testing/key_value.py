"""A key-value store in memory, held to the same contract suite as the real one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from riverrun.errors import UnavailableError
from riverrun.runtime.ports import LocalStateUnavailableError

__all__ = ["MemoryKeyValueStore"]


class MemoryKeyValueStore:
    """A :class:`~riverrun.runtime.ports.KeyValueStore` in a dict.

    Attributes
    ----------
    failure : UnavailableError or None
        While set, ``apply`` raises it and writes nothing.

    Examples
    --------
    >>> store = MemoryKeyValueStore()
    >>> store.apply({b"a2": b"y", b"a1": b"x", b"b": b"z"}, [])
    >>> list(store.scan(b"a"))
    [(b'a1', b'x'), (b'a2', b'y')]
    """

    def __init__(self, pairs: Mapping[bytes, bytes] | None = None) -> None:
        self._pairs: dict[bytes, bytes] = dict(pairs or {})
        self._closed = False
        self.failure: UnavailableError | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key`` or None."""
        self._check_open()
        return self._pairs.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the pairs whose key starts with ``prefix``, in key order."""
        self._check_open()
        for key in sorted(key for key in self._pairs if key.startswith(prefix)):
            value = self._pairs.get(key)
            if value is not None:
                yield key, value

    def apply(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> None:
        """Write all deletes and puts; a key in both is put."""
        self._check_open()
        if self.failure is not None:
            raise self.failure
        for key in deletes:
            self._pairs.pop(key, None)
        self._pairs.update(puts)

    def clear(self) -> None:
        """Delete everything."""
        self._check_open()
        self._pairs.clear()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def close(self) -> None:
        """Refuse every later call. The pairs stay: ``copy`` opens them again."""
        self._closed = True

    def copy(self) -> MemoryKeyValueStore:
        """Return an open store with the same pairs: what a process finds that starts after a kill."""
        return MemoryKeyValueStore(self._pairs)

    def _check_open(self) -> None:
        if self._closed:
            raise LocalStateUnavailableError("the key-value store is closed")
