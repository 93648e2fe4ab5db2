"""The labels stage written again, as plainly as possible: one list, searched from end to end. It is the
judge.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from riverrun.records.items import Event, Prediction
from services.labels.rule import LabelRule
from tests.labels.made import delay_of

Ending = tuple[str, str, float | None, int]
"""Id, outcome, label, label time."""


@dataclass
class Waiting:
    """A prediction that the stage has not forgotten."""

    seq: int
    id: str
    key: str
    time: int
    event_seq: int
    until: int
    state: str = "pending"
    label: float | None = None


@dataclass
class Early:
    """A label that came first."""

    label: float
    time: int
    used: bool = False


class NaiveLabels:
    """What the stage must do, for a rule that joins by key and does not recur."""

    def __init__(self, rule: LabelRule) -> None:
        self.rule = rule
        self.now = 0
        self.known: list[Waiting] = []
        self.early: dict[str, Early] = {}
        self.counts: Counter[str] = Counter()

    def predict(self, item: Prediction) -> list[Ending]:
        self.counts["predictions"] += 1
        entry = Waiting(item.seq, item.id, item.key, item.time, item.event_seq, item.time + self.rule.wait_ms)
        self.known.append(entry)
        early = self.early.get(item.key)
        if early is None or early.time > entry.until:
            return []
        early.used = True
        return [self.settle(entry, early.label, early.time)]

    def settle(self, entry: Waiting, label: float, time: int) -> Ending:
        self.counts["labelled"] += 1
        entry.state, entry.label, entry.until = "resolved", label, self.now + self.rule.wait_ms
        return (entry.id, "labelled", label, time)

    def happen(self, item: Event) -> list[Ending]:
        self.now = max(self.now, item.time)
        endings = self.end_waits()
        if item.stream != self.rule.stream:
            return endings
        label = delay_of(item.fields)
        if label is None:
            self.counts["ignored"] += 1
            return endings
        found = [entry for entry in self.known if entry.key == item.key]
        for entry in found:
            if entry.event_seq == item.seq:
                continue
            if entry.state == "pending":
                endings.append(self.settle(entry, label, item.time))
            elif entry.state == "ended":
                self.counts["late"] += 1
            elif entry.label == label:
                self.counts["repeated"] += 1
            else:
                self.counts["revised"] += 1
                entry.label, entry.until = label, self.now + self.rule.wait_ms
                endings.append((entry.id, "revised", label, item.time))
        self.keep(item, label, bool(found))
        return endings

    def end_waits(self) -> list[Ending]:
        for key, early in list(self.early.items()):
            if early.time + self.rule.wait_ms < self.now:
                del self.early[key]
                self.counts["unmatched"] += not early.used
        endings: list[Ending] = []
        for entry in sorted(self.known, key=lambda entry: (entry.until, entry.seq)):
            if entry.until >= self.now:
                continue
            if entry.state != "pending":
                self.known.remove(entry)
                continue
            outcome = "expired" if self.rule.otherwise is None else "defaulted"
            self.counts[outcome] += 1
            endings.append((entry.id, outcome, self.rule.otherwise, entry.until))
            entry.state, entry.until = "ended", self.now + self.rule.wait_ms
        return endings

    def keep(self, item: Event, label: float, found: bool) -> None:
        over = item.time + self.rule.wait_ms < self.now
        if item.key in self.early:
            if not over:
                self.early[item.key] = Early(label, item.time, self.early[item.key].used)
        elif not found:
            if over:
                self.counts["unmatched"] += 1
            else:
                self.counts["early"] += 1
                self.early[item.key] = Early(label, item.time)
