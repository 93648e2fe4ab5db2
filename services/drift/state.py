"""The trailing state of a drift stage: all of its fold in one signed piece, written seldom."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, cast

from riverrun.models.digest import DigestError
from riverrun.models.pickling import dump_state, load_state
from riverrun.models.signing import SIGNATURE_BYTES, KeyRing, SignatureError
from riverrun.records.items import Item
from riverrun.runtime.keyed_state import POSITIONS_KEY, decode_positions, encode_positions
from riverrun.runtime.ports import KeyValueStore
from services.drift.core import DriftCore, DriftState

__all__ = ["WRITE_EVERY", "DriftStore"]

WRITE_EVERY: Final = 4_000
"""Records between two writes."""

_LOG: Final = logging.getLogger(__name__)
_KEY: Final = b"fold"
_PURPOSE: Final = b"riverrun drift state"

_Stored = tuple[str, dict[str, int], DriftState]
"""What the state has grown from, the positions that it reflects, and the fold."""


class DriftStore:
    """Keeps a `DriftCore` in a local store.

    Nearly everything changes with every window, so all is written at once. That costs as much as folding a hundred
    records, so it is done every few thousand, and at a planned stop.

    Parameters
    ----------
    core
        The fold.
    store
        Owned from now on.
    keys
        Sign what is written and verify what is read: River's detectors are pickled.
    every
        Records between two writes.
    """

    def __init__(self, core: DriftCore, store: KeyValueStore, keys: KeyRing, *, every: int = WRITE_EVERY) -> None:
        self._core = core
        self._store = store
        self._keys = keys
        self._every = every
        self._written = 0

    def load(self) -> Mapping[str, int] | None:
        """Restore what was stored, if it is whole, signed and of these settings; else forget it and return None."""
        stored, content = self._store.get(POSITIONS_KEY), self._store.get(_KEY)
        positions = decode_positions(stored) if stored is not None else None
        if positions is not None and content is not None:
            try:
                self._restore(content, positions)
            except (SignatureError, DigestError, ValueError, KeyError, TypeError) as error:
                _LOG.warning("the state of drift is folded again from the log: %s", error)
            else:
                return positions
        self.reset()
        return None

    def flush(self, positions: Mapping[str, int]) -> Sequence[Item]:
        """Write everything, if enough has come since the last time.

        Raises
        ------
        UnavailableError
            If the store cannot be written; it is tried again.
        """
        if self._core.folded - self._written >= self._every:
            self._write(positions)
        return ()

    def checkpoint(self, positions: Mapping[str, int]) -> None:
        """Write everything, unless nothing came since the last time.

        Raises
        ------
        UnavailableError
            If the store cannot be written.
        """
        if self._core.folded != self._written:
            self._write(positions)

    def reset(self) -> None:
        """Forget everything, in the store too."""
        self._store.clear()
        self._core.reset()
        self._written = 0

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _write(self, positions: Mapping[str, int]) -> None:
        body = dump_state((self._core.origin, dict(positions), self._core.state()))
        content = body + self._keys.sign(_PURPOSE, body)
        self._store.apply({POSITIONS_KEY: encode_positions(positions), _KEY: content}, [])
        self._written = self._core.folded

    def _restore(self, content: bytes, positions: Mapping[str, int]) -> None:
        body, signature = content[:-SIGNATURE_BYTES], content[-SIGNATURE_BYTES:]
        self._keys.verify(_PURPOSE, body, signature)
        origin, reflected, state = cast("_Stored", load_state(body))
        if origin != self._core.origin:
            raise ValueError("drift is declared otherwise than when it was stored")
        if reflected != positions:
            raise ValueError(f"it reflects {reflected}, and says {dict(positions)}")
        self._core.restore(state)
        self._written = self._core.folded
