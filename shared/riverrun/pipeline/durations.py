"""Durations as people write them: ``"15m"``, ``"1h30m"``, ``"14d"``, ``"500ms"``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from riverrun.pipeline.errors import DefinitionError

__all__ = ["DAY_MS", "YEAR_MS", "Duration", "format_duration", "parse_duration"]

Duration = str | timedelta
"""A duration in a pipeline file: a text such as ``"15m"``, or a ``timedelta``."""

DAY_MS: Final = 86_400_000
YEAR_MS: Final = 366 * DAY_MS

_UNITS_MS: Final = {"w": 7 * DAY_MS, "d": DAY_MS, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PART = re.compile(r"(\d{1,15})(ms|[wdhms])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_duration(duration: Duration) -> int:
    """Return a duration in milliseconds.

    Parameters
    ----------
    duration : str or datetime.timedelta
        Whole numbers with the units ``w``, ``d``, ``h``, ``m``, ``s`` and ``ms``, one or several in a row; or
        a ``timedelta`` of whole milliseconds.

    Raises
    ------
    DefinitionError
        If it cannot be read, or is a fraction of a millisecond or negative.

    Examples
    --------
    >>> parse_duration("1h30m"), parse_duration("500ms"), parse_duration(timedelta(days=14))
    (5400000, 500, 1209600000)
    """
    if isinstance(duration, timedelta):
        whole, rest = divmod(duration, timedelta(milliseconds=1))
        if rest or whole < 0:
            raise DefinitionError(
                f"{duration!r} is not a whole number of milliseconds from zero up", code="bad-duration"
            )
        return whole
    if not isinstance(duration, str) or _WHOLE.fullmatch(duration) is None:
        raise DefinitionError(
            f"{duration!r} is not a duration",
            hint='write whole numbers with units, such as "15m", "1h30m", "14d" or "500ms"',
            code="bad-duration",
        )
    return sum(int(count) * _UNITS_MS[unit] for count, unit in _PART.findall(duration))


def format_duration(milliseconds: int) -> str:
    """Return the shortest exact text that :func:`parse_duration` reads back.

    Examples
    --------
    >>> format_duration(5_400_000), format_duration(86_400_000), format_duration(0)
    ('1h30m', '1d', '0ms')
    """
    parts = []
    rest = milliseconds
    for unit, size in _UNITS_MS.items():
        if unit == "w":  # people say 14d, and a reader of the text should not have to divide
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0ms"
