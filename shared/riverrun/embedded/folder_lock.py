"""A lock on a folder, held by one process at a time and freed by the kernel when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

__all__ = ["folder_lock"]


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, waiting for whoever has it.

    Parameters
    ----------
    folder : Path
        The folder; made if missing. The lock is the file ``.lock`` in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as lock:
        # Freed when the file is closed; children do not inherit it (PEP 446).
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
