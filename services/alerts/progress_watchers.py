"""Watchers of the stages' commit records: dead letters, lag, silent streams, and counters that rise."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from riverrun.pipeline.alerts import CounterRule, DeadLetterRule, LagRule, SilenceRule
from riverrun.pipeline.durations import format_duration
from riverrun.records.items import Progress
from services.alerts.observations import Observation
from services.alerts.signals import Fact
from services.alerts.watching import Moment, Watcher

__all__ = ["CounterWatcher", "DeadLetterWatcher", "LagWatcher", "SilenceWatcher"]

_INGEST: Final = "ingest"
_PANES: Final = 12
_DEAD: Final = "dead:"
_DEAD_LETTERS: Final = "dead_letters"
_READ: Final = ("accepted", "duplicates", _DEAD_LETTERS)

Counts = dict[str, int]


class DeadLetterWatcher(Watcher):
    """Keeps ``ingest``'s counters of the last period, and compares the share of dead letters with the limit.

    It samples them twelve times a period. What was counted before the first commit record that it sees is not its
    business.

    Parameters
    ----------
    rule
        The rule.
    """

    def __init__(self, rule: DeadLetterRule) -> None:
        self._rule = rule
        self._latest: dict[str, Counts] = {}
        self._base: Counts = {}
        self._samples: list[tuple[int, Counts]] = []

    def see(self, fact: Fact | None, moment: Moment) -> Iterable[Observation]:
        """Look at a commit record of ``ingest``."""
        if not isinstance(fact, Progress) or fact.stage != _INGEST:
            return ()
        counts = {name: count for name, count in fact.counters.items() if name in _READ or name.startswith(_DEAD)}
        partition = str(fact.partition)
        if partition not in self._latest:
            self._base = _added(self._base, counts, 1)
        self._latest[partition] = counts
        total: Counts = {}
        for each in self._latest.values():
            total = _added(total, each, 1)
        return (self._compare(_added(total, self._base, -1), max(moment.intake, fact.watermark)),)

    def _compare(self, total: Counts, now: int) -> Observation:
        rule, samples = self._rule, self._samples
        while len(samples) > 1 and samples[1][0] <= now - rule.over_ms:
            samples.pop(0)
        start = samples[0][1] if samples else {}
        if not samples or now - samples[-1][0] >= rule.over_ms // _PANES:
            samples.append((now, total))
        recent = _added(total, start, -1)
        dead, read = recent.get(_DEAD_LETTERS, 0), sum(recent.get(name, 0) for name in _READ)
        share = dead / read if read > 0 else 0.0
        if share <= rule.share or dead < rule.least:
            return Observation(rule.name, "dead letters", now, holds=False, values={"value": share})
        reasons = sorted(
            ((count, name.removeprefix(_DEAD)) for name, count in recent.items() if name.startswith(_DEAD) and count),
            reverse=True,
        )
        return Observation(
            rule=rule.name,
            subject="dead letters",
            time=now,
            holds=True,
            severity=rule.severity,
            title=f"{share:.1%} of the last {read:,} records are dead letters",
            text=f"{dead:,} within {format_duration(rule.over_ms)}; reasons: "
            + ", ".join(f"{name} ({count:,})" for count, name in reasons[:5]),
            values={"value": share, "limit": rule.share, "dead_letters": float(dead), "records": float(read)},
        )

    def state(self) -> Mapping[str, object]:
        """Return counters and samples."""
        return {"latest": self._latest, "base": self._base, "samples": [list(each) for each in self._samples]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self._latest, self._base = dict(state["latest"]), dict(state["base"])
        self._samples = [(time, counts) for time, counts in state["samples"]]


def _added(one: Counts, other: Counts, sign: int) -> Counts:
    return {name: one.get(name, 0) + sign * other.get(name, 0) for name in one.keys() | other.keys()}


class SilenceWatcher(Watcher):
    """Keeps how far ``ingest`` has read a stream's topic, and when that last rose.

    Parameters
    ----------
    rule
        The rule.
    topic
        The stream's topic.
    """

    def __init__(self, rule: SilenceRule, topic: str) -> None:
        self._rule = rule
        self._topic = topic
        self._next: dict[str, int] = {}
        self._heard = 0

    def see(self, fact: Fact | None, moment: Moment) -> Iterator[Observation]:
        """Look at a commit record of ``ingest``, and at the time."""
        if isinstance(fact, Progress) and fact.stage == _INGEST:
            for place in fact.inputs:
                partition = str(place.partition)
                if place.topic == self._topic and place.next > self._next.get(partition, 0):
                    self._next[partition] = place.next
                    self._heard = moment.intake
        if not moment.intake:
            return
        self._heard = self._heard or moment.intake
        rule, silent = self._rule, moment.intake - self._heard
        length = format_duration(silent // 60_000 * 60_000)
        holds = silent > rule.over_ms
        yield Observation(
            rule=rule.name,
            subject=rule.stream,
            time=moment.intake,
            holds=holds,
            severity=rule.severity,
            title=f"Nothing from {rule.stream} for {length}" if holds else f"{rule.stream} is heard again",
            text=f"The topic {self._topic} brought nothing, while time went on." if holds else "",
            values={"silent_ms": float(silent), "limit": float(rule.over_ms)},
        )

    def state(self) -> Mapping[str, object]:
        """Return positions and time."""
        return {"next": self._next, "heard": self._heard}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self._next, self._heard = dict(state["next"]), state["heard"]


class LagWatcher(Watcher):
    """Keeps what every stage has folded and written, and counts what lies between.

    A stage that has committed nothing yet, since nobody runs it or it cannot start, lies behind by what has been
    written since the watcher first looked.

    Parameters
    ----------
    rule
        The rule.
    topics
        Those that the stage reads.
    """

    def __init__(self, rule: LagRule, topics: Collection[str]) -> None:
        self._rule = rule
        self._topics = frozenset(topics)
        self._folded: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def see(self, fact: Fact | None, moment: Moment) -> Iterator[Observation]:
        """Look at a commit record of any stage, and at where the producers' topics end."""
        if isinstance(fact, Progress):
            self._written |= {f"{topic}/{fact.partition}": count for topic, count in fact.outputs.items()}
            if fact.stage == self._rule.stage:
                for place in fact.inputs:
                    # A producer's topic is told apart by its partition, one of riverrun's own by who wrote it.
                    writer = place.partition if place.writer < 0 else place.writer
                    self._folded[f"{place.topic}/{writer}"] = place.next
        self._written |= moment.ends
        if not (isinstance(fact, Progress) or moment.ends):
            return
        rule = self._rule
        lag = 0
        for name, written in self._written.items():
            if name.rpartition("/")[0] in self._topics:
                # Of a stage not heard of yet nobody knows how far it is: it may be that others were only read first.
                first = self._first.setdefault(name, written)
                lag += max(0, written - self._folded.get(name, first))
        holds = lag > rule.records
        yield Observation(
            rule=rule.name,
            subject=rule.stage,
            time=moment.now,
            holds=holds,
            severity=rule.severity,
            title=f"{rule.stage} is {lag:,} records behind" if holds else f"{rule.stage} has caught up",
            values={"value": float(lag), "limit": float(rule.records)},
        )

    def state(self) -> Mapping[str, object]:
        """Return positions."""
        return {"folded": self._folded, "written": self._written, "first": self._first}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self._folded, self._written = dict(state["folded"]), dict(state["written"])
        self._first = dict(state.get("first", {}))


class CounterWatcher(Watcher):
    """Keeps one of a stage's counters, and notices when it rises.

    Parameters
    ----------
    rule
        The rule.
    """

    def __init__(self, rule: CounterRule) -> None:
        self._rule = rule
        self._counts: dict[str, int] = {}

    def see(self, fact: Fact | None, moment: Moment) -> Iterator[Observation]:
        """Look at a commit record of the stage."""
        rule = self._rule
        if not isinstance(fact, Progress) or fact.stage != rule.stage:
            return
        partition, count = str(fact.partition), fact.counters.get(rule.counter, 0)
        rise = count - self._counts.get(partition, 0)
        self._counts[partition] = count
        if rise > 0:
            yield Observation(
                rule=rule.name,
                subject=f"{rule.stage} {rule.counter}",
                time=max(fact.watermark, moment.now),
                holds=True,
                severity=rule.severity,
                title=f"{rule.counter} of {rule.stage} rose by {rise:,} to {sum(self._counts.values()):,}",
                values={"value": float(rise)},
                momentary=True,
            )

    def state(self) -> Mapping[str, object]:
        """Return the counts."""
        return {"counts": self._counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self._counts = dict(state["counts"])
