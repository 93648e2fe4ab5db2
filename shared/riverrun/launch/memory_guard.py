"""Ends a process that takes more memory than it was given, before the system does, and says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["MemoryGuard", "resident_bytes"]

_LOG = logging.getLogger("riverrun.memory")
_STATUS: Final = Path("/proc/self/status")
_EVERY_S: Final = 1.0
_MIB: Final = 1 << 20


def resident_bytes() -> int:
    """Return what this process itself has in memory, in bytes; 0 where the system does not tell.

    Files that are mapped, as libraries are, do not count: the system drops them when it needs the room.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), 0)


class MemoryGuard:
    """Looks once a second at what the process takes.

    Parameters
    ----------
    limit : int
        What it may take, in bytes.
    resident : callable
        Tells what it takes.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        limit: int,
        resident: Callable[[], int] = resident_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._resident = resident
        self._clock = clock
        self._next = 0.0
        self.exceeded = False

    def look(self, wait: float) -> bool:
        """Tell whether the process is to end, having said why; ``wait`` does not matter."""
        del wait
        now = self._clock()
        if now >= self._next and not self.exceeded:
            self._next = now + _EVERY_S
            found = self._resident()
            self.exceeded = found > self._limit
            if self.exceeded:
                _LOG.error(
                    "the process takes %.0f MiB, and was given %.0f: ending; give it more by --memory, "
                    "or bound the models in the pipeline file",
                    found / _MIB,
                    self._limit / _MIB,
                )
        return self.exceeded
