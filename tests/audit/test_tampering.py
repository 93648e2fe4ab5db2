"""Whatever is changed in what a run has left behind is found, and the first record that is wrong is named."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import NamedTuple

import pytest

from riverrun.audit.intake import audit_intake
from riverrun.audit.learning import audit_models
from riverrun.audit.ledger import audit_ledger
from riverrun.audit.reading import Record
from riverrun.audit.report import Check, Tell
from riverrun.audit.subject import Subject
from riverrun.audit.vectors import audit_vectors
from riverrun.records.items import LABELLED, Example
from riverrun.records.topics import Kind
from tests.audit.worlds import World

MIDDLE = 60


class Expected(NamedTuple):
    """Which check must fail, and what it must name."""

    check: str
    place: str
    says: str = ""


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _dropped_event(world: World) -> Expected:
    records = world.records(Kind.EVENTS)
    del records[MIDDLE]
    return Expected("events are numbered", _place(records[MIDDLE]), f"0:{MIDDLE}")


def _dropped_last_event(world: World) -> Expected:
    records = world.records(Kind.EVENTS)
    records.pop()
    return Expected("events are numbered", _place(records[-1]), f"{len(records) + 1} records")


def _changed_event(world: World) -> Expected:
    records = world.records(Kind.EVENTS)
    index = next(at for at, each in enumerate(records) if world.item(each).stream == "ordered")
    value = records[index].value or b""
    # The last bytes are the time; a bit less of it is another event.
    records[index] = records[index]._replace(value=value[:-6] + bytes([value[-6] ^ 2]) + value[-5:])
    return Expected("each event says", _place(records[index]), "shop.ordered@")


def _event_twice(world: World) -> Expected:
    records = world.records(Kind.EVENTS)
    return Expected("each event says", _place(world.insert(Kind.EVENTS, MIDDLE, records[MIDDLE - 1])), "once")


def _changed_dead_letter(world: World) -> Expected:
    letter = world.item(world.records(Kind.DEAD_LETTERS)[2])
    return Expected("each dead letter", _place(world.change(Kind.DEAD_LETTERS, 2, value=letter.value + b"!")))


def _dead_letter_without_headers(world: World) -> Expected:
    records = world.records(Kind.DEAD_LETTERS)
    index = next(at for at, each in enumerate(records) if world.item(each).headers)
    return Expected("each dead letter", _place(world.change(Kind.DEAD_LETTERS, index, headers=())))


def _dead_letter_without_reason(world: World) -> Expected:
    return Expected("each dead letter", _place(world.change(Kind.DEAD_LETTERS, 1, reason="")), "reason")


def _vanished(world: World) -> Expected:
    raw = world.log.content["shop.ordered", 0]
    raw[MIDDLE] = raw[MIDDLE]._replace(value=(raw[MIDDLE].value or b"").replace(b"ordered-", b"unknown-"))
    topic, offset = raw[MIDDLE].topic, raw[MIDDLE].offset
    records, source = world.records(Kind.EVENTS), f"{topic}/0/{offset}".encode()
    del records[next(at for at, each in enumerate(records) if ("riverrun-source", source) in each.headers)]
    return Expected("each producer's record", _place(raw[MIDDLE]), "no event 'unknown-")


def _duplicates_miscounted(world: World) -> Expected:
    records, codecs = world.records(Kind.PROGRESS), world.subject.codecs
    index = max(at for at, each in enumerate(records) if each.key == b"ingest")
    progress = codecs.decode_progress(records[index].value or b"")
    progress.counters["duplicates"] += 1
    records[index] = records[index]._replace(value=codecs.encode(progress))
    place = "the last commit of ingest on partition 0"
    return Expected("the counters of ingest", place, f"duplicates {progress.counters['duplicates']}")


def _changed_vector(world: World) -> Expected:
    values = list(world.item(world.records(Kind.VECTORS)[MIDDLE]).values)
    values[-2] = math.nextafter(values[-2], math.inf)
    return Expected(
        "each vector is what", _place(world.change(Kind.VECTORS, MIDDLE, values=tuple(values))), "everywhere"
    )


def _dropped_vector(world: World) -> Expected:
    records = world.records(Kind.VECTORS)
    event = world.item(records.pop()).event_seq
    return Expected("each event to predict on", _place(world.records(Kind.EVENTS)[event]), "none")


def _doubled_vector(world: World) -> Expected:
    record = world.records(Kind.VECTORS)[MIDDLE - 1]
    return Expected("each event to predict on", _place(world.insert(Kind.VECTORS, MIDDLE, record)))


def _changed_partial(world: World) -> Expected:
    entries = world.partials.groups[0, "city"]
    value = bytearray(entries["Ulm"])
    # The last eight bytes are a maximum in the newest pane of visits.
    value[-8] ^= 1
    entries["Ulm"] = bytes(value)
    return Expected("Redis holds", "redis riverrun:{shop:0}:g:city 'Ulm'", "pane")


def _missing_partial(world: World) -> Expected:
    del world.partials.groups[0, "city"]["Ulm"]
    return Expected("Redis holds", "redis riverrun:{shop:0}:g:city 'Ulm'", "none")


def _partial_behind(world: World) -> Expected:
    entries = world.partials.groups[0, "city"]
    entries["Ulm"] = struct.pack(">Q", 9) + entries["Ulm"][8:]
    return Expected("Redis holds", "redis riverrun:{shop:0}:g:city 'Ulm'", "since the marker is at")


def _marker_ahead(world: World) -> Expected:
    world.partials.markers[0] = 1_000_000
    return Expected("Redis holds", "redis riverrun:{shop:0}:marker", "1000000")


def _doubled_prediction(world: World) -> Expected:
    records = world.records(Kind.PREDICTIONS)
    records.insert(MIDDLE, records[MIDDLE - 1])
    return Expected("predictions are numbered", _place(records[MIDDLE]), f"0:{MIDDLE}")


def _doubled_prediction_numbered_anew(world: World) -> Expected:
    record = world.records(Kind.PREDICTIONS)[MIDDLE - 1]
    return Expected("each vector has one prediction", _place(world.insert(Kind.PREDICTIONS, MIDDLE, record)))


def _prediction_of_other_bytes(world: World) -> Expected:
    other = world.item(world.records(Kind.PREDICTIONS)[3]).vector
    return Expected("each vector has one prediction", _place(world.change(Kind.PREDICTIONS, MIDDLE, vector=other)))


def _first_example(world: World, outcome: str, start: int = 0) -> tuple[int, Example]:
    records = world.records(Kind.EXAMPLES)
    found = ((at, world.item(records[at])) for at in range(start, len(records)))
    return next((at, item) for at, item in found if item.outcome == outcome)


def _wrong_label(world: World) -> Expected:
    index, example = _first_example(world, LABELLED, 30)
    record = world.change(Kind.EXAMPLES, index, label=1.0 - (example.label or 0.0))
    return Expected("each example has the outcome", _place(record), "label")


def _label_used_twice(world: World) -> Expected:
    index, _ = _first_example(world, LABELLED, 30)
    record = world.insert(Kind.EXAMPLES, index + 9, world.records(Kind.EXAMPLES)[index])
    return Expected("each prediction ends once", _place(record), "labelled")


def _example_of_other_bytes(world: World) -> Expected:
    other = world.item(world.records(Kind.EXAMPLES)[0]).vector
    return Expected("each example has the outcome", _place(world.change(Kind.EXAMPLES, 30, vector=other)), "vector")


def _dropped_last_example(world: World) -> Expected:
    records = world.records(Kind.EXAMPLES)
    records.pop()
    return Expected("examples are numbered", _place(records[-1]), f"{len(records) + 1} records")


def _pending_miscounted(world: World) -> Expected:
    records, codecs = world.records(Kind.PROGRESS), world.subject.codecs
    index = max(at for at, each in enumerate(records) if each.key == b"labels")
    progress = codecs.decode_progress(records[index].value or b"")
    progress.counters["pending"] += 1
    records[index] = records[index]._replace(value=codecs.encode(progress))
    return Expected("predictions = labelled", "shop.predictions[0] and the last commit of labels", "pending")


def _changed_score(world: World) -> Expected:
    scores = world.item(world.records(Kind.PREDICTIONS)[900]).scores
    changed = (scores[0]._replace(score=math.nextafter(scores[0].score, 2.0)), *scores[1:])
    record = world.change(Kind.PREDICTIONS, 900, scores=changed)
    return Expected("logistic: served scores", _place(record), "as logistic says")


def _changed_digest(world: World) -> Expected:
    records = world.records(Kind.MODELS)
    index = next(at for at, each in enumerate(records) if each.key == b"version/logistic")
    digest = world.item(records[index]).digest
    record = world.change(Kind.MODELS, index, digest=("0" if digest[0] != "0" else "1") + digest[1:])
    return Expected("logistic: published digests", _place(record), digest)


def _changed_metrics(world: World) -> Expected:
    metrics = world.item(world.records(Kind.EVALUATIONS)[0]).metrics
    record = world.change(Kind.EVALUATIONS, 0, metrics={**metrics, "LogLoss": metrics["LogLoss"] + 1e-6})
    return Expected("logistic: published metrics", _place(record), "LogLoss")


def _example_learned_differently(world: World) -> Expected:
    index, example = _first_example(world, LABELLED, 30)
    world.change(Kind.EXAMPLES, index, label=1.0 - (example.label or 0.0))
    records = world.records(Kind.MODELS)
    version = next(each for each in records if each.key == b"version/bayes")
    return Expected("bayes: published digests", _place(version))


Task = Callable[[Subject, Tell], list[Check]]
Tamper = Callable[[World], Expected]


def _models(*names: str) -> Task:
    return lambda subject, tell: audit_models(subject, names, tell)


TAMPERED: dict[Task, tuple[Tamper, ...]] = {
    audit_intake: (
        _dropped_event,
        _dropped_last_event,
        _changed_event,
        _event_twice,
        _changed_dead_letter,
        _dead_letter_without_headers,
        _dead_letter_without_reason,
        _vanished,
        _duplicates_miscounted,
    ),
    audit_vectors: (
        _changed_vector,
        _dropped_vector,
        _doubled_vector,
        _changed_partial,
        _missing_partial,
        _partial_behind,
        _marker_ahead,
    ),
    audit_ledger: (
        _doubled_prediction,
        _doubled_prediction_numbered_anew,
        _prediction_of_other_bytes,
        _wrong_label,
        _label_used_twice,
        _example_of_other_bytes,
        _dropped_last_example,
        _pending_miscounted,
    ),
    _models("logistic"): (_changed_score, _changed_digest, _changed_metrics),
    _models("bayes"): (_example_learned_differently,),
}


@pytest.mark.parametrize(
    ("task", "tamper"),
    [
        pytest.param(task, tamper, id=tamper.__name__.strip("_"))
        for task, tampers in TAMPERED.items()
        for tamper in tampers
    ],
)
def test_tampering_is_found_and_named(shop: World, task: Task, tamper: Tamper) -> None:
    """The check that must fail does, and names the record, what it should be and what it is."""
    world = shop.copy()
    expected = tamper(world)
    failed = {check.name: check for check in task(world.subject, lambda _count: None) if not check.passed}
    check = next((check for name, check in failed.items() if name.startswith(expected.check)), None)
    assert check is not None, list(failed)
    assert check.first is not None
    assert check.first.place == expected.place
    assert expected.says in f"{check.first.expected} | {check.first.found}"


def test_a_read_of_what_never_was_is_found(chain_of_shops: World) -> None:
    """A vector that says that it has read another state of another partition's entity is named."""
    world = chain_of_shops.copy()
    records = world.records(Kind.VECTORS)
    index = next(at for at, each in enumerate(records) if world.item(each).reads)
    reads = world.item(records[index]).reads
    record = world.change(Kind.VECTORS, index, reads=(reads[0]._replace(position=reads[0].position + 1), *reads[1:]))
    checks = audit_vectors(world.subject, lambda _count: None)
    first = next(check.first for check in checks if check.name.startswith("each vector is what"))
    assert first is not None
    assert first.place == _place(record)
