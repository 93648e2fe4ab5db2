"""What ``riverrun check`` finds: a code, a sentence, what to do, and the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.locations import Location

__all__ = ["Problem", "Severity", "from_error"]

Severity = Literal["error", "warning"]
"""An error keeps a pipeline from running; a warning is for a person to judge."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, or looks wrong, with a pipeline.

    Examples
    --------
    >>> print(Problem("unknown-field", "there is no 'dela'", "did you mean 'delay'?", Location("p.py", 3)))
    p.py:3: error: there is no 'dela' (did you mean 'delay'?) [unknown-field]
    """

    code: str
    message: str
    hint: str = ""
    location: Location | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        """Return one line, as compilers print them."""
        where = f"{self.location}: " if self.location is not None else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.severity}: {self.message}{hint} [{self.code}]"

    @property
    def sort_key(self) -> tuple[str, int, str, str]:
        """By file and line, then by code and text; problems without a line come first."""
        file, line = self.location if self.location is not None else ("", 0)
        return (file, line, self.code, self.message)


def from_error(error: DefinitionError, fallback: Location | None = None) -> Problem:
    """Turn an error of the definition into a problem."""
    return Problem(error.code, error.message, error.hint, error.location or fallback)
