"""How processes of a benchmark are made: as copies of one that has imported what all of them need, or from nothing.

A copy has nobody's heap but that of the imports, and comes three seconds sooner on a slow machine. Where the start
itself is measured, it is one from nothing.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Final

__all__ = ["COPIED", "FROM_NOTHING"]

COPIED: Final[ForkServerContext] = multiprocessing.get_context("forkserver")
FROM_NOTHING: Final[SpawnContext] = multiprocessing.get_context("spawn")

COPIED.set_forkserver_preload(["benchmarks.imported"])
