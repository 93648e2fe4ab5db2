"""Where in a user's file something was written, so that a complaint can name the line."""

from __future__ import annotations

import inspect
from typing import Final, NamedTuple

__all__ = ["Location", "caller_location"]

_PACKAGE: Final = __name__.rpartition(".")[0]


class Location(NamedTuple):
    """A line of a file.

    Examples
    --------
    >>> str(Location("flights.py", 12))
    'flights.py:12'
    """

    file: str
    line: int

    def __str__(self) -> str:
        """Return ``file:line``, which editors and terminals turn into a link."""
        return f"{self.file}:{self.line}"


def caller_location() -> Location | None:
    """Return the innermost line on the call stack that is outside of this package, or None.

    It walks raw frames and formats nothing, so a field reference costs about a microsecond. Modules are told
    by name: the ``__init__`` of a dataclass has no file, but its class's module.
    """
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_PACKAGE):
        frame = frame.f_back
    return None if frame is None else Location(frame.f_code.co_filename, frame.f_lineno)
