"""The labels stage's fold: predictions wait for their labels, and each ends exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from riverrun.records.items import (
    DEFAULTED,
    EXPIRED,
    LABELLED,
    REVISED,
    UNSENT,
    Event,
    Example,
    Item,
    Prediction,
    Source,
)
from riverrun.runtime.keyed_state import KeyedState, bounded_key
from services.labels.book import ENDED, PENDING, RESOLVED, Entry, PredictionBook
from services.labels.early import EarlyLabels
from services.labels.memory import LabelsMemory
from services.labels.rule import LabelRule, join_text

__all__ = ["COUNTERS", "LabelsCore", "PredictionCodec"]

COUNTERS: Final = {
    "predictions": "predictions taken in",
    "labelled": "predictions that ended with a label",
    "defaulted": "predictions that ended with the pipeline's default label, since none came in time",
    "expired": "predictions that ended without a label, since none came in time",
    "pending": "predictions that have not ended (a gauge)",
    "revised": "labels that differed from the one that a prediction had been given",
    "repeated": "labels equal to the one that a prediction had been given",
    "late": "labels that came after their prediction had been defaulted or had expired",
    "early": "join values for which a label came before any prediction, and was kept",
    "unmatched": "labels that no prediction came for within the wait",
    "ignored": "label events whose label or join value was missing",
}
"""What the stage counts. At all times predictions = labelled + defaulted + expired + pending."""


class PredictionCodec(Protocol):
    """Turns predictions into bytes and back, as on the wire."""

    def encode(self, prediction: Prediction) -> bytes:
        """Return the framed record."""
        ...

    def decode(self, payload: bytes) -> Prediction:
        """Return the prediction; its ``seq`` and ``source`` are not in the record and do not matter."""
        ...


class LabelsCore:
    """Joins delayed labels to predictions; a :class:`~riverrun.runtime.core.Core`.

    The rules, all in event time, whose clock is the watermark: the greatest time of any event folded.

    - A prediction at time *t* waits until the watermark lies beyond *t* + wait. Then it ends as
      ``defaulted``, or as ``expired`` where the pipeline has no default. This happens at the first event
      after which it is so (for a prediction that is overdue when it comes: at the next event).
    - An event first moves the watermark, then ends what is due, and only then is joined. So a label whose own
      time is at most *t* + wait never ends by its coming the wait of its own prediction, and one whose time
      is beyond never is its label, in whatever order the two come.
    - A label ends every prediction with its join value that is pending, as ``labelled``, in the order in
      which the predictions came. An event is never the label of the prediction that was made for that same
      event.
    - A label that finds no prediction is kept until the watermark lies beyond its own time + wait, and labels
      every prediction with its join value that comes by then and whose own wait it would not have missed. The
      latest such label of a join value counts.
    - A prediction that has its label is remembered for another wait (from the watermark at that moment), and
      each different label that comes meanwhile gives an example ``revised``, with the new label and
      everything else as before. A prediction that has ended without one is remembered as long, to know a
      label as late.

    Where the rule says that join values recur (a customer's, not a flight's), a label belongs to the
    predictions that wait for it when it comes, and to no others: nothing is kept for later, revised or known
    as late.

    ``repeated``, ``revised`` and ``late`` count a label once for each prediction that it finds.

    Parameters
    ----------
    rule : LabelRule
        The pipeline's label.
    state : KeyedState
        Where everything is kept.
    codec : PredictionCodec
        Used to encode a prediction only when it comes without payload, to decode it when it ends.
    topic, partition : str, int
        Of the predictions: the source of the examples.

    Attributes
    ----------
    missing : int
        Pending predictions that were committed but could not be restored, because the log no longer reaches
        back to them. They count as pending for ever, so that the books balance.
    """

    def __init__(
        self, rule: LabelRule, state: KeyedState, codec: PredictionCodec, *, topic: str, partition: int
    ) -> None:
        self.missing = 0
        self._rule = rule
        self._codec = codec
        self._topic = topic
        self._partition = partition
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._book = PredictionBook(state, horizon_ms=rule.wait_ms)
        self._early = EarlyLabels(state, wait_ms=rule.wait_ms)
        self._memory = LabelsMemory(state)

    @property
    def watermark(self) -> int:
        """The greatest event time folded, in milliseconds; 0 before the first."""
        return self._memory.watermark

    def counters(self) -> Mapping[str, int]:
        """Return the counts that :data:`COUNTERS` explains."""
        self._counts["pending"] = self._memory.pending
        return self._counts

    def resume(self, counters: Mapping[str, int], watermark: int) -> None:
        """Take over the committed counters and watermark, after state was loaded and replayed."""
        restored = self._memory.pending
        self._counts.update({name: counters.get(name, 0) for name in COUNTERS})
        self._memory.pending = self._counts["pending"]
        self._memory.watermark = watermark
        self.missing = self._memory.pending - restored

    def prefetch(self, items: Sequence[Item]) -> None:
        """Do nothing: all that is needed is in this partition."""

    def replay(self, item: Prediction | Event) -> None:
        """Fold one item again, unless the restored state reflects it already."""
        memory = self._memory
        if item.seq >= (memory.next_prediction if isinstance(item, Prediction) else memory.next_event):
            self.step(item)

    def step(self, item: Prediction | Event) -> Sequence[Item]:
        """Fold a prediction or an event (of any stream); return the examples that it ends."""
        if isinstance(item, Prediction):
            return self._take_prediction(item)
        return self._take_event(item)

    def _take_prediction(self, prediction: Prediction) -> Sequence[Item]:
        memory, wait = self._memory, self._rule.wait_ms
        memory.next_prediction = prediction.seq + 1
        memory.pending += 1
        self._counts["predictions"] += 1
        join = bounded_key(prediction.key)
        # A chained prediction that a torn transaction has left in its topic already comes without payload.
        payload = prediction.payload or self._codec.encode(prediction)
        entry = Entry(prediction.seq, PENDING, prediction.event_seq, 0.0, join, payload)
        early = self._early.take(join, prediction.time + wait)
        if early is None:
            self._book.add(entry, prediction.time + wait)
            return ()
        label, label_time = early
        self._book.add(entry._replace(status=RESOLVED, label=label), memory.watermark + wait)
        return (self._end(entry, LABELLED, label, label_time),)

    def _take_event(self, event: Event) -> Sequence[Item]:
        memory = self._memory
        memory.next_event = event.seq + 1
        outputs: list[Item] = []
        watermark = memory.watermark = max(memory.watermark, event.time)
        if self._book.is_due(watermark) or self._early.is_due(watermark):
            self._end_waits(outputs)
        if event.stream == self._rule.stream:
            self._join_label(event, outputs)
        return outputs

    def _end_waits(self, outputs: list[Item]) -> None:
        """End the predictions whose wait is over, and forget what was remembered long enough."""
        watermark, rule, book = self._memory.watermark, self._rule, self._book
        self._counts["unmatched"] += self._early.expire(watermark)
        outcome = EXPIRED if rule.otherwise is None else DEFAULTED
        for entry in book.due(watermark):
            if entry.status == PENDING:
                outputs.append(self._end(entry, outcome, rule.otherwise, None))
                if not rule.recurring:
                    book.update(entry._replace(status=ENDED, payload=b""), watermark + rule.wait_ms)
                    continue
            book.forget(entry)

    def _join_label(self, event: Event, outputs: list[Item]) -> None:
        rule = self._rule
        label = rule.label(event.fields)
        text = event.key if rule.join_field is None else join_text(event.fields.get(rule.join_field))
        if label is None or text is None:
            self._counts["ignored"] += 1
            return
        join = bounded_key(text)
        entries = self._book.matching(join)
        for entry in entries:
            if entry.event_seq != event.seq or event.seq == UNSENT:
                self._label(entry, label, event.time, outputs)
        self._keep_label(join, label, event.time, matched=bool(entries))

    def _keep_label(self, join: bytes, label: float, time: int, *, matched: bool) -> None:
        """Keep a label that came before its predictions, or in the place of one that did."""
        early = self._early
        in_time = not self._rule.recurring and time + self._rule.wait_ms >= self._memory.watermark
        if early.known(join):
            if in_time:
                early.replace(join, label, time)
        elif in_time and not matched:
            self._counts["early"] += 1
            early.keep(join, label, time)
        elif not matched:
            self._counts["unmatched"] += 1

    def _label(self, entry: Entry, label: float, time: int, outputs: list[Item]) -> None:
        """Tell one prediction a label of its join value."""
        if entry.status == ENDED:
            self._counts["late"] += 1
        elif entry.status == PENDING:
            self._resolve(entry, label)
            outputs.append(self._end(entry, LABELLED, label, time))
        elif entry.label == label:
            self._counts["repeated"] += 1
        else:
            self._counts["revised"] += 1
            self._resolve(entry, label)
            outputs.append(self._example(entry, REVISED, label, time))

    def _resolve(self, entry: Entry, label: float) -> None:
        if self._rule.recurring:
            self._book.remove(entry)
            return
        resolved = entry._replace(status=RESOLVED, label=label)
        self._book.update(resolved, self._memory.watermark + self._rule.wait_ms)

    def _end(self, entry: Entry, outcome: str, label: float | None, time: int | None) -> Example:
        self._memory.pending -= 1
        self._counts[outcome] += 1
        return self._example(entry, outcome, label, time)

    def _example(self, entry: Entry, outcome: str, label: float | None, time: int | None) -> Example:
        prediction = self._codec.decode(entry.payload)
        return Example(
            id=prediction.id,
            key=prediction.key,
            time=prediction.time,
            outcome=outcome,
            label=label,
            # Where no event brought the label: when the wait was over.
            label_time=prediction.time + self._rule.wait_ms if time is None else time,
            scores=prediction.scores,
            vector=prediction.vector,
            source=Source(self._topic, self._partition, entry.seq),
        )
