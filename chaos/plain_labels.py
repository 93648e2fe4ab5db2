"""How the parcels' predictions end, told by walking over all that wait (I7): each once, each label in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaos.evidence import Evidence, Row
from chaos.findings import Finding, Sort
from chaos.messages import Messages
from chaos.sequences import Found, compare
from riverrun.records.items import DEFAULTED, LABELLED, REVISED, Source
from riverrun.records.topics import Kind

__all__ = ["PlainLabels"]

_WAIT_MS: Final = 72 * 3_600_000
_LATE_HOURS: Final = 24.0


@dataclass(slots=True)
class _Waiting:
    """A prediction that waits, or that has ended and is remembered until ``deadline``."""

    row: Row
    deadline: int
    outcome: str = ""
    label: float | None = None


class PlainLabels:
    """Ends every prediction anew and compares the examples.

    Parameters
    ----------
    evidence
        What a run left.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._messages = {
            Source(record.topic, record.partition, record.offset): record.value
            for records in evidence.raw.values()
            for record in records
        }
        self._read = Messages(evidence.deployment.ids)
        self._due: list[Found] = []
        self._watermark = 0
        self._waiting: dict[str, list[_Waiting]] = {}
        self._early: dict[str, tuple[float, int]] = {}
        self._now_ms = 0

    def findings(self) -> Iterator[Finding]:
        """Compare, partition by partition: the examples of all share one topic."""
        for partition in range(self._evidence.partitions):
            self._due, self._watermark, self._waiting, self._early = [], 0, {}, {}
            predictions = {row.item.event_seq: row for row in self._evidence.of(Kind.PREDICTIONS, partition)}
            for seq, event in enumerate(self._evidence.of(Kind.EVENTS, partition)):
                self._now_ms = event.at_ms
                if seq in predictions:
                    self._predict(predictions[seq])
                self._pass(event)
            examples = self._evidence.of(Kind.EXAMPLES, partition)
            found = [Found(_name(row.item.id, row.item.outcome, row.item.label), row.at_ms) for row in examples]
            yield from compare("examples", found, self._due)
            yield from _own_time(examples)

    def _predict(self, row: Row) -> None:
        waiting = _Waiting(row, row.item.time + _WAIT_MS)
        self._waiting.setdefault(row.item.key, []).append(waiting)
        label, time = self._early.get(row.item.key, (0.0, waiting.deadline + 1))
        if time <= waiting.deadline:
            self._end(waiting, LABELLED, label)

    def _pass(self, event: Row) -> None:
        fields = self._read.fields(self._messages[event.stamp.source])
        if fields["at"] > self._watermark:
            self._watermark = fields["at"]
            self._let_time_pass()
        if "hours" in fields:
            self._deliver(fields["parcel_id"], 1.0 if fields["hours"] > _LATE_HOURS else 0.0, fields["at"])

    def _let_time_pass(self) -> None:
        over = [each for group in self._waiting.values() for each in group if each.deadline < self._watermark]
        for waiting in sorted(over, key=lambda each: (each.deadline, each.row.stamp.seq)):
            if waiting.outcome:
                group = self._waiting[waiting.row.item.key]
                group.remove(waiting)
                if not group:
                    del self._waiting[waiting.row.item.key]
            else:
                self._end(waiting, DEFAULTED, 1.0)
        gone = [key for key, (_, time) in self._early.items() if time + _WAIT_MS < self._watermark]
        for key in gone:
            del self._early[key]

    def _deliver(self, key: str, label: float, time: int) -> None:
        known = list(self._waiting.get(key, ()))
        for waiting in known:
            if not waiting.outcome:
                self._end(waiting, LABELLED, label)
            elif waiting.outcome == LABELLED and waiting.label != label:
                waiting.label, waiting.deadline = label, self._watermark + _WAIT_MS
                self._due.append(Found(_name(waiting.row.item.id, REVISED, label), self._now_ms))
        if time + _WAIT_MS >= self._watermark and (key in self._early or not known):
            self._early[key] = label, time

    def _end(self, waiting: _Waiting, outcome: str, label: float) -> None:
        waiting.outcome, waiting.label, waiting.deadline = outcome, label, self._watermark + _WAIT_MS
        self._due.append(Found(_name(waiting.row.item.id, outcome, label), self._now_ms))


def _name(prediction: str, outcome: str, label: float | None) -> str:
    return f"{prediction} {outcome} {label}"


def _own_time(examples: list[Row]) -> Iterator[Finding]:
    """Check that no label's own time lies beyond its prediction's wait."""
    for row in examples:
        if row.item.outcome == LABELLED and row.item.label_time > row.item.time + _WAIT_MS:
            yield Finding(Sort.WRONG, f"{row.item.id} was given a label that came too late", row.at_ms, row.item.id)
