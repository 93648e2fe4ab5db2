"""Whether the gateway works, looked up once a moment: anybody may ask, without a key, and as often as they like."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from services.gateway.parts import Readiness

__all__ = ["RememberedReadiness"]

_REMEMBERED_S: Final = 1.0


class RememberedReadiness:
    """Remembers for a moment what was found; whoever asks while it is being looked up waits for the same answer.

    Used in one event loop.

    Parameters
    ----------
    readiness
        Looks it up.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._looking: asyncio.Task[Mapping[str, str]] | None = None
        self._until = 0.0

    async def troubles(self) -> dict[str, str]:
        """Return what is wrong, by the part that it is wrong with; nothing if all is well."""
        looking = self._looking
        if looking is None or (looking.done() and time.monotonic() >= self._until):
            looking = self._looking = asyncio.create_task(self._look())
        # Shielded: a caller that goes away must not take the others' answer with it.
        return dict(await asyncio.shield(looking))

    async def _look(self) -> Mapping[str, str]:
        found = await self._readiness.troubles()
        self._until = time.monotonic() + _REMEMBERED_S
        return found
