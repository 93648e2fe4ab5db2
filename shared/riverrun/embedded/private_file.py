"""Writing small files that only their owner may read, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_private_file"]


def write_private_file(path: Path, text: str) -> None:
    """Replace a file's content in one step; a crash leaves the old content or the new.

    Parameters
    ----------
    path : Path
        The file. Its mode becomes 0600, for it may hold a password.
    text : str
        The content, written as UTF-8.
    """
    scratch = path.with_name(f"{path.name}.new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    scratch.replace(path)
