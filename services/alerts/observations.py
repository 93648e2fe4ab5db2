"""What a rule notices: that its condition holds, or does not, for one subject in one segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from riverrun.pipeline.alerts import Severity
from services.alerts.subscriptions import segment_text

__all__ = ["Observation"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a condition.

    Parameters
    ----------
    rule
        The rule's name.
    subject
        What it is about.
    time
        Event time, in milliseconds since the epoch.
    holds
        Whether there is something to tell.
    severity
        How bad it is.
    title, text, values
        What to tell.
    segment
        Of which part of the traffic.
    momentary
        True for what happens and does not last, such as a change of the champion: it is never resolved.
    """

    rule: str
    subject: str
    time: int
    holds: bool
    severity: Severity = "warning"
    title: str = ""
    text: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    segment: Mapping[str, str] = field(default_factory=dict)
    momentary: bool = False

    @property
    def key(self) -> str:
        """What tells one incident from another."""
        return "|".join((self.rule, self.subject, segment_text(self.segment)))
