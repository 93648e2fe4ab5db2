"""The judge: holds everything that a run left against what was published, record by record.

It runs nothing of the loop, the stages or their folds, and keeps to the simplest means: sets, counts, and plain folds.
It does not stop at the first thing that is wrong: it tells all of them, and of which sort each is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.evidence import Evidence, Row
from chaos.findings import Finding, Sort
from chaos.messages import Messages
from chaos.parcels import DUPLICATE, MALFORMED, VALID
from chaos.plain_features import PlainFeatures
from chaos.plain_labels import PlainLabels
from chaos.plain_models import PlainModels
from chaos.sequences import Found, compare, equal_counts, increasing, numbered
from chaos.world import KIND_HEADER
from riverrun.records.items import DEFAULTED, EXPIRED, LABELLED, REVISED, Source
from riverrun.records.topics import Kind
from riverrun.runtime.ports import Record

__all__ = ["judge"]

_ENDS: Final = (LABELLED, DEFAULTED, EXPIRED)
_FROM_ONE_TOPIC: Final = (Kind.VECTORS, Kind.PREDICTIONS)
_NUMBERED: Final = (*_FROM_ONE_TOPIC, Kind.EVENTS, Kind.DEAD_LETTERS, Kind.EXAMPLES, Kind.EVALUATIONS, Kind.DRIFT)


def judge(evidence: Evidence) -> list[Finding]:
    """Return everything that is wrong with a run at rest: all folded, every service ended in order."""
    findings: list[Finding] = []
    for check in (_numbers, _intake, _vectors, _predictions, _ledger, _features, _labels, _models):
        try:
            findings += check(evidence)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            # What cannot be read at all is as wrong as can be; the other checks still have their say.
            findings.append(Finding(Sort.WRONG, f"{check.__name__.strip('_')} cannot be judged: {error!r}"))
    return findings


def _numbers(evidence: Evidence) -> Iterator[Finding]:
    """I1, I9: positions have no holes and no repetitions, whoever wrote; sources only increase."""
    for kind in _NUMBERED:
        yield from numbered(kind.value, evidence.rows[kind])
    for kind in (*_FROM_ONE_TOPIC, Kind.EVENTS, Kind.DEAD_LETTERS):
        yield from increasing(kind.value, evidence.rows[kind])
    names = evidence.deployment.topology.names
    for (stage, partition), said in evidence.progress.items():
        for topic, count in said[-1].outputs.items():
            kind = next(each for each, name in names.items() if name == topic)
            # Findings of drift are counted where they are judged.
            if kind in evidence.rows and kind is not Kind.DRIFT:
                found = len({row.stamp.seq for row in evidence.of(kind, partition)})
                yield from equal_counts(f"{stage}[{partition}]", {topic: count}, {topic: found})


# I2: what came in is accepted, a duplicate, or a dead letter with its bytes.


def _intake(evidence: Evidence) -> Iterator[Finding]:
    published = {
        Source(record.topic, record.partition, record.offset): record
        for records in evidence.raw.values()
        for record in records
    }
    if len(published) != evidence.published:
        text = f"Kafka holds {len(published)} messages of producers, {evidence.published} were published"
        yield Finding(Sort.WRONG, text)
    made = _made(published, Messages(evidence.deployment.ids))
    due = {
        kind: [_found(place, published[place]) for place, each in made.items() if each == kind]
        for kind in (VALID, DUPLICATE, MALFORMED)
    }
    events, letters = evidence.rows[Kind.EVENTS], evidence.rows[Kind.DEAD_LETTERS]
    yield from compare("accepted events", _by_source(events, published), due[VALID], ordered=False)
    yield from compare("dead letters", _by_source(letters, published), due[MALFORMED], ordered=False)
    for row in letters:
        if row.stamp.source in published:
            yield from _letter(row, published[row.stamp.source])
    counts = {"accepted": len(due[VALID]), "dead_letters": len(due[MALFORMED]), "duplicates": len(due[DUPLICATE])}
    yield from equal_counts("ingest", evidence.counters("ingest"), counts)


def _made(published: Mapping[Source, Record], read: Messages) -> dict[Source, str]:
    """Return what each message was made to be. The gateway's do not say: they are valid once, and may be repeated."""
    made: dict[Source, str] = {}
    called: set[str] = set()
    for place, record in published.items():
        kind = dict(record.headers).get(KIND_HEADER)
        if kind is None:
            name = str(read.fields(record.value)["event_id"])
            made[place] = DUPLICATE if name in called else VALID
            called.add(name)
        else:
            made[place] = kind.decode()
    return made


def _found(place: Source, record: Record) -> Found:
    return Found(f"{_id(record)} at {place.topic}/{place.partition}/{place.position}", record.timestamp)


def _by_source(rows: list[Row], published: Mapping[Source, Record]) -> list[Found]:
    return [
        _found(row.stamp.source, published[row.stamp.source])._replace(at_ms=row.at_ms)
        if row.stamp.source in published
        else Found(f"a record of {row.stamp.source}", row.at_ms)
        for row in rows
    ]


def _id(record: Record) -> str:
    try:
        return str(json.loads(record.value or b"")["event_id"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "?"


def _letter(row: Row, record: Record) -> Iterator[Finding]:
    letter = row.item
    if (letter.key, letter.value, list(letter.headers)) != (record.key, record.value, list(record.headers)):
        yield Finding(Sort.WRONG, f"the dead letter of {row.stamp.source} is not the message", row.at_ms)
    if not letter.reason:
        yield Finding(Sort.WRONG, f"the dead letter of {row.stamp.source} gives no reason", row.at_ms)


# I1: each valid event to predict on has one vector and one prediction, in order.


def _vectors(evidence: Evidence) -> Iterator[Finding]:
    asked = evidence.pipeline.predict_on.name
    for partition in range(evidence.partitions):
        events = [row for row in evidence.of(Kind.EVENTS, partition) if row.item.stream == asked]
        yield from compare("vectors", _ids(evidence.of(Kind.VECTORS, partition)), _ids(events))


def _predictions(evidence: Evidence) -> Iterator[Finding]:
    for partition in range(evidence.partitions):
        vectors = evidence.of(Kind.VECTORS, partition)
        predictions = evidence.of(Kind.PREDICTIONS, partition)
        yield from compare("predictions", _ids(predictions), _ids(vectors))
        payloads = {row.item.id: (row.item.event_seq, row.item.payload) for row in vectors}
        for row in predictions:
            if payloads.get(row.item.id) != (row.item.event_seq, row.item.vector):
                text = f"prediction {row.item.id} was made from another vector than was served"
                yield Finding(Sort.WRONG, text, row.at_ms, row.item.id)


def _ids(rows: list[Row]) -> list[Found]:
    return [Found(row.item.id, row.at_ms) for row in rows]


# I7: the ledger balances, and each prediction ends at most once.


def _ledger(evidence: Evidence) -> Iterator[Finding]:
    rows = evidence.rows[Kind.EXAMPLES]
    ended = Counter(row.item.id for row in rows if row.item.outcome in _ENDS)
    for row in rows:
        if row.item.outcome in _ENDS and ended[row.item.id] > 1:
            yield Finding(Sort.DOUBLED, f"prediction {row.item.id} ended twice", row.at_ms, row.item.id)
    predicted = {row.item.id for row in evidence.rows[Kind.PREDICTIONS]}
    for name in ended.keys() - predicted:
        yield Finding(Sort.WRONG, f"an example is of {name}, of which there is no prediction", None, name)
    counters = evidence.counters("labels")
    outcomes = Counter(row.item.outcome for row in rows)
    found: dict[str, Any] = {name: outcomes[name] for name in (*_ENDS, REVISED)}
    found |= {"predictions": len(predicted), "pending": len(predicted - ended.keys())}
    yield from equal_counts("labels", counters, found)
    yield from equal_counts("learn", evidence.counters("learn"), {"examples": len(rows)})


# I3, I5, I6, I7: everything that was computed is computed again, by plain folds.


def _features(evidence: Evidence) -> Iterator[Finding]:
    return PlainFeatures(evidence).findings()


def _labels(evidence: Evidence) -> Iterator[Finding]:
    return PlainLabels(evidence).findings()


def _models(evidence: Evidence) -> Iterator[Finding]:
    return PlainModels(evidence).findings()
