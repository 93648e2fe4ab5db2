"""Python's garbage collector, kept from going through state again and again in search of cycles, which it has none of.

While a million entities are loaded, the collector would look at all that are there already for every quarter that is
added, and take more time than the loading. Afterwards each full collection would stop the stream for as long as it
takes to look at all of them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["paused", "release", "set_aside"]


_USUAL: Final = gc.get_threshold()
_RARELY: Final = (10_000, 20, 20)
"""After how many new objects the youngest are looked at, and after how many of that the older ones are.

What the stream makes is freed by reference counts; cycles come of errors. With the usual 700, 10, 10, all records
that wait decoded, and all state made since the start, are gone through every 70,000 new objects, for some 50 ms, and
looking takes a twentieth of the processor's time.
"""


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing meanwhile; cycles that are left are found afterwards."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def set_aside() -> None:
    """Look at nothing that exists now in collections from now on; reference counts free it as ever.

    What was set aside before is gone through once: whoever has lost a partition has left its state there, in cycles
    that no reference count frees.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    gc.set_threshold(*_RARELY)


def release() -> None:
    """Look at everything again, as often as ever."""
    gc.set_threshold(*_USUAL)
    gc.unfreeze()
