"""What the judge found to be wrong, and which fault it is put down to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Sort", "Strike", "blame"]


class Sort(StrEnum):
    """How something is wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    REORDERED = "reordered"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Parameters
    ----------
    sort
        How.
    text
        What, for people.
    at_ms
        When the record was made that is wrong, or that ought to have been followed by another, in milliseconds since
        the epoch; None if it is about no moment.
    id
        Of the event; empty if it is about none.
    """

    sort: Sort
    text: str
    at_ms: int | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that was injected.

    Parameters
    ----------
    kind
        Which.
    began_ms, ended_ms
        From when to when it lasted, in milliseconds since the epoch.
    recovery_s
        Seconds from its end to the next committed output of every stage that it hit; None if it never came.
    outage_s
        The same, from its beginning.
    """

    kind: str
    began_ms: int
    ended_ms: int
    recovery_s: float | None
    outage_s: float | None


def blame(finding: Finding, strikes: Sequence[Strike], oddities: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the kinds of fault that a finding is put down to.

    They are the last that struck before the record was made, all that lasted then, and whatever the load did wrong
    with its event; if it is about no moment, every kind that struck.
    """
    kinds = set(oddities.get(finding.id, ()))
    if finding.at_ms is None:
        return kinds | {strike.kind for strike in strikes}
    at = finding.at_ms
    before = bisect_right([strike.began_ms for strike in strikes], at)
    # Several that struck together began together.
    last = strikes[before - 1].began_ms if before else None
    kinds |= {strike.kind for strike in strikes[:before] if strike.began_ms == last}
    return kinds | {strike.kind for strike in strikes if strike.began_ms <= at <= strike.ended_ms}
