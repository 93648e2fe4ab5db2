"""Restraint: a rule that has too much to tell within a period tells the rest in one digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

from riverrun.pipeline.alerts import SEVERITIES, AlertRule, Severity

__all__ = ["Digests", "Held", "Told"]

_UNKNOWN: Final = -1


class Told(Protocol):
    """An incident that is about to be told."""

    rule: str
    subject: str
    severity: Severity
    segment: dict[str, str]
    told: int


@dataclass(slots=True)
class Held:
    """What a rule has told, and held back, in one segment within the current period.

    ``since`` is what the clock said when the period began, ``first`` the event time of what was told first in it;
    ``subjects`` counts what was held back.
    """

    rule: str
    segment: dict[str, str]
    since: int
    first: int = _UNKNOWN
    told: int = 0
    severity: Severity = "info"
    subjects: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many alerts were held back."""
        return sum(self.subjects.values())

    def text(self) -> str:
        """Say what was held back, the most frequent first."""
        most = sorted(self.subjects.items(), key=lambda pair: (-pair[1], pair[0]))
        listed = ", ".join(f"{subject} ({count})" for subject, count in most[:10])
        rest = len(most) - 10
        return f"Held back: {listed}{f' and {rest} more' if rest > 0 else ''}."


class Digests:
    """Decides what is told at once.

    A period is over when the clock has gone on by its length; and when something is told whose event time is so much
    later than that of the first. For the clock follows whatever is furthest ahead: where another topic has been read
    for months more, it stands still while these months are told.

    Parameters
    ----------
    rules
        The rules by name.
    """

    def __init__(self, rules: Mapping[str, AlertRule]) -> None:
        self._rules = rules
        self._periods: dict[tuple[str, str], Held] = {}

    def passed(self, rule: str, segment: Mapping[str, str], time: int) -> Held | None:
        """End the period if what is told at the event time ``time`` lies beyond it; return it if it holds anything."""
        key = _key(rule, segment)
        period = self._periods.get(key)
        if period is None or period.first == _UNKNOWN or time - period.first < self._rules[rule].digest_ms:
            return None
        del self._periods[key]
        return period if period.subjects else None

    def admits(self, incident: Told, now: int) -> bool:
        """Tell whether an alert of an incident may be told at once; count it, either way."""
        rule, subject, severity = incident.rule, incident.subject, incident.severity
        key = _key(rule, incident.segment)
        period = self._periods.get(key)
        if period is None:
            period = self._periods[key] = Held(rule, dict(incident.segment), now, incident.told)
        if period.told < self._rules[rule].burst:
            period.told += 1
            return True
        period.subjects[subject] = period.subjects.get(subject, 0) + 1
        period.severity = max(period.severity, severity, key=SEVERITIES.index)
        return False

    def due(self, now: int) -> Iterator[Held]:
        """End the periods that are over, and yield those in which something was held back."""
        for key, period in sorted(self._periods.items()):
            if now - period.since >= self._rules[period.rule].digest_ms:
                del self._periods[key]
                if period.subjects:
                    yield period

    def state(self) -> list[dict[str, object]]:
        """Return what `restore` needs."""
        return [asdict(period) for _, period in sorted(self._periods.items())]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go on from a `state`; what belongs to rules that are gone is dropped."""
        periods = [Held(**row) for row in state if row["rule"] in self._rules]
        self._periods = {_key(each.rule, each.segment): each for each in periods}


def _key(rule: str, segment: Mapping[str, str]) -> tuple[str, str]:
    return rule, str(sorted(segment.items()))
