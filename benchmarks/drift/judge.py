"""Holds what was found against what is true, and against firing always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.drift.streams import Change

__all__ = ["Verdict", "always_fire", "judge"]

_PER: Final = 100_000


@dataclass(slots=True)
class Verdict:
    """How detection did on the streams of one kind.

    Attributes
    ----------
    events, quiet
        Events in all, and those before a stream's first drift.
    drifts, found
        How many there were, and how many were found in time.
    false_alarms
        Moments at which something was found before there was anything to be found.
    moments
        Moments at which something was found.
    delays
        Events from each found drift's beginning to the first finding.
    """

    events: int = 0
    quiet: int = 0
    drifts: int = 0
    found: int = 0
    false_alarms: int = 0
    moments: int = 0
    delays: list[int] = field(default_factory=list)

    @property
    def recall(self) -> float | None:
        """The share of the drifts that were found in time; None where there are none."""
        return self.found / self.drifts if self.drifts else None

    @property
    def false_alarms_per_100k(self) -> float:
        """False alarms in 100,000 events without drift."""
        return self.false_alarms / max(1, self.quiet) * _PER

    @property
    def delay(self) -> float | None:
        """The median delay in events."""
        return median(self.delays) if self.delays else None

    def figures(self) -> dict[str, float | int | None]:
        """Return what is reported."""
        return {
            "recall": self.recall,
            "false_alarms_per_100k": self.false_alarms_per_100k,
            "delay": self.delay,
            "drifts": self.drifts,
            "events": self.events,
            "moments": self.moments,
        }

    def add(self, other: Verdict) -> None:
        """Take in the verdict on another stream."""
        self.events += other.events
        self.quiet += other.quiet
        self.drifts += other.drifts
        self.found += other.found
        self.false_alarms += other.false_alarms
        self.moments += other.moments
        self.delays += other.delays


def judge(
    changes: Sequence[Change], moments: Sequence[int], length: int, telling: Sequence[int] | None = None
) -> Verdict:
    """Judge one stream.

    A drift is found by the first finding that tells of it from its beginning on, if that comes within its patience, and
    before the next drift begins. Any finding before the first drift is a false alarm; later ones may be of what the
    drift left behind.

    Parameters
    ----------
    changes
        The stream's drifts, in their order.
    moments
        Numbers of the events at which something was found, rising.
    length
        Events in the stream.
    telling
        Those of the moments at which something was found that tells of such drifts; all unless given.
    """
    quiet = changes[0].at if changes else length
    told = moments if telling is None else telling
    verdict = Verdict(length, quiet, len(changes), moments=len(moments))
    verdict.false_alarms = sum(moment < quiet for moment in moments)
    for number, change in enumerate(changes, 1):
        end = changes[number].at if number < len(changes) else length
        found = [at for at in told if change.at <= at < min(end, change.at + change.patience)]
        if found:
            verdict.found += 1
            verdict.delays.append(found[0] - change.at)
    return verdict


def always_fire(changes: Sequence[Change], length: int, every: float) -> Verdict:
    """Judge a detector that fires each so many events, whatever it sees."""
    count = int(length / every)
    return judge(changes, [int((number + 1) * every) - 1 for number in range(count)], length)
