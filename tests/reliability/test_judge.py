"""The judge finds nothing wrong where nothing is, and whatever a test makes wrong, of its sort."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import redis

from chaos.auditor import audit
from chaos.evidence import Evidence, Row
from chaos.findings import Sort
from chaos.judge import judge
from chaos.open_transactions import open_transactions
from chaos.parcels import DUPLICATE
from chaos.world import KIND_HEADER, World
from riverrun.records.items import LABELLED, ModelVersion
from riverrun.records.topics import Kind

pytestmark = pytest.mark.timeout(300)

Tamper = Callable[[Evidence], None]


def _copy(evidence: Evidence) -> Evidence:
    return replace(
        evidence,
        raw={place: list(records) for place, records in evidence.raw.items()},
        rows={kind: list(rows) for kind, rows in evidence.rows.items()},
        progress={place: list(rows) for place, rows in evidence.progress.items()},
    )


def _change(rows: list[Row], at: int, **fields: Any) -> None:
    rows[at] = rows[at]._replace(item=replace(rows[at].item, **fields))


def _lose(kind: Kind) -> Tamper:
    def tamper(evidence: Evidence) -> None:
        del evidence.rows[kind][len(evidence.rows[kind]) // 2]

    return tamper


def _double(kind: Kind) -> Tamper:
    def tamper(evidence: Evidence) -> None:
        rows = evidence.rows[kind]
        rows.insert(len(rows) // 2, rows[len(rows) // 2])

    return tamper


def _swap(kind: Kind) -> Tamper:
    def tamper(evidence: Evidence) -> None:
        rows = evidence.rows[kind]
        rows[10], rows[11] = rows[11], rows[10]

    return tamper


def _other_letter(evidence: Evidence) -> None:
    _change(evidence.rows[Kind.DEAD_LETTERS], 3, value=b"other bytes")


def _no_reason(evidence: Evidence) -> None:
    _change(evidence.rows[Kind.DEAD_LETTERS], 3, reason="")


def _accepted_duplicate(evidence: Evidence) -> None:
    """An event that was accepted turns out to have been sent as a duplicate."""
    source = evidence.rows[Kind.EVENTS][20].stamp.source
    records = evidence.raw[source.topic, source.partition]
    records[source.position] = records[source.position]._replace(headers=((KIND_HEADER, DUPLICATE.encode()),))


def _last_bit_of_a_score(evidence: Evidence) -> None:
    rows = evidence.rows[Kind.PREDICTIONS]
    first, *others = rows[-1].item.scores
    _change(rows, -1, scores=(first._replace(score=math.nextafter(first.score, 2.0)), *others))


def _score_of_another_version(evidence: Evidence) -> None:
    rows = evidence.rows[Kind.PREDICTIONS]
    _change(rows, -1, scores=tuple(score._replace(version=score.version - 1) for score in rows[-1].item.scores))


def _score_of_no_version(evidence: Evidence) -> None:
    rows = evidence.rows[Kind.PREDICTIONS]
    _change(rows, -1, scores=tuple(score._replace(version=1 << 20) for score in rows[-1].item.scores))


def _one_event_too_many(evidence: Evidence) -> None:
    """A vector that counts its own event, or one after it."""
    rows = evidence.rows[Kind.VECTORS]
    *values, parcels = rows[30].item.values
    _change(rows, 30, values=(*values, parcels + 1))


def _other_vector(evidence: Evidence) -> None:
    _change(evidence.rows[Kind.PREDICTIONS], 30, vector=evidence.rows[Kind.PREDICTIONS][31].item.vector)


def _other_label(evidence: Evidence) -> None:
    rows = evidence.rows[Kind.EXAMPLES]
    at = next(number for number, row in enumerate(rows) if row.item.outcome == LABELLED)
    _change(rows, at, label=1.0 - rows[at].item.label)


def _label_of_too_late(evidence: Evidence) -> None:
    rows = evidence.rows[Kind.EXAMPLES]
    at = next(number for number, row in enumerate(rows) if row.item.outcome == LABELLED)
    _change(rows, at, label_time=rows[at].item.time + 73 * 3_600_000)


def _other_digest(evidence: Evidence) -> None:
    rows = evidence.rows[Kind.MODELS]
    at = next(number for number, row in enumerate(rows) if isinstance(row.item, ModelVersion))
    _change(rows, at, digest="0" * 64)


def _no_version(evidence: Evidence) -> None:
    rows = evidence.rows[Kind.MODELS]
    del rows[next(number for number, row in enumerate(rows) if isinstance(row.item, ModelVersion))]


def _miscounted(stage: str, counter: str) -> Tamper:
    def tamper(evidence: Evidence) -> None:
        said = evidence.progress[stage, 0][-1]
        counters = {**said.counters, counter: said.counters[counter] + 1}
        evidence.progress[stage, 0].append(replace(said, counters=counters))

    return tamper


_CASES: list[tuple[str, Tamper, Sort]] = [
    *((f"lost {kind}", _lose(kind), Sort.LOST) for kind in (Kind.EVENTS, Kind.VECTORS, Kind.PREDICTIONS)),
    *((f"lost {kind}", _lose(kind), Sort.LOST) for kind in (Kind.DEAD_LETTERS, Kind.EXAMPLES)),
    *((f"doubled {kind}", _double(kind), Sort.DOUBLED) for kind in (Kind.EVENTS, Kind.VECTORS, Kind.PREDICTIONS)),
    *((f"doubled {kind}", _double(kind), Sort.DOUBLED) for kind in (Kind.DEAD_LETTERS, Kind.EXAMPLES)),
    *((f"swapped {kind}", _swap(kind), Sort.REORDERED) for kind in (Kind.VECTORS, Kind.PREDICTIONS)),
    ("dead letter with other bytes", _other_letter, Sort.WRONG),
    ("dead letter without a reason", _no_reason, Sort.WRONG),
    ("duplicate accepted", _accepted_duplicate, Sort.WRONG),
    ("last bit of a score", _last_bit_of_a_score, Sort.WRONG),
    ("score of another version", _score_of_another_version, Sort.WRONG),
    ("score of no version", _score_of_no_version, Sort.WRONG),
    ("vector of one event too many", _one_event_too_many, Sort.WRONG),
    ("prediction on another vector", _other_vector, Sort.WRONG),
    ("another label", _other_label, Sort.LOST),
    ("label that came too late", _label_of_too_late, Sort.WRONG),
    ("version with another digest", _other_digest, Sort.WRONG),
    ("version not published", _no_version, Sort.LOST),
    ("miscounted duplicates", _miscounted("ingest", "duplicates"), Sort.WRONG),
    ("miscounted pending", _miscounted("labels", "pending"), Sort.WRONG),
]


def test_nothing_is_wrong_with_an_undisturbed_run(evidence: Evidence) -> None:
    """No false alarm, on two partitions whose vectors read of one another."""
    assert judge(evidence) == []
    assert any(row.item.reads for row in evidence.rows[Kind.VECTORS])


@pytest.mark.parametrize(("tamper", "sort"), [pytest.param(*case[1:], id=case[0]) for case in _CASES])
def test_what_is_made_wrong_is_found(evidence: Evidence, tamper: Tamper, sort: Sort) -> None:
    """Whatever it is, the judge says so, and of which sort it is."""
    copy = _copy(evidence)
    tamper(copy)
    assert sort in {finding.sort for finding in judge(copy)}


def test_what_cannot_be_read_is_wrong(evidence: Evidence) -> None:
    """A record that breaks a check is a finding, and the other checks are still made."""
    copy = _copy(evidence)
    copy.rows[Kind.EVENTS][5] = copy.rows[Kind.EVENTS][5]._replace(item=None)
    _change(copy.rows[Kind.DEAD_LETTERS], 3, reason="")
    findings = judge(copy)
    assert any("cannot be judged" in finding.text for finding in findings)
    assert any("gives no reason" in finding.text for finding in findings)


def test_an_open_transaction_is_found(undisturbed: World) -> None:
    """Whatever topic it is in, also where nobody looks for records; and nothing once it has ended."""
    kafka, name = undisturbed.addresses.kafka, undisturbed.plan.name
    assert list(open_transactions(kafka, name)) == []
    writer = undisturbed.deployment.log.writer("left-open")
    writer.open()
    writer.begin()
    writer.send(f"{name}.alert-signals", 0, b"k", b"v", ())
    deadline = time.monotonic() + 20
    while not (found := list(open_transactions(kafka, name, patience_s=0.0))) and time.monotonic() < deadline:
        pass
    assert [finding.sort for finding in found] == [Sort.WRONG]
    assert f"{name}.alert-signals[0]" in found[0].text
    writer.abort()
    assert list(open_transactions(kafka, name)) == []
    writer.close()


def test_an_empty_redis_is_found(undisturbed: World) -> None:
    """Not only what is wrong there, but that nothing is: nobody can take that for what the events amount to."""
    with closing(redis.Redis.from_url(undisturbed.addresses.redis_url)) as client:
        pattern = f"riverrun:{{{undisturbed.plan.name}:*}}:*"
        kept = {key: client.dump(key) for key in client.scan_iter(pattern)}
        assert len(kept) > 2
        client.delete(*kept)
        assert audit(undisturbed), "nothing was said"
        for key, dump in kept.items():
            assert isinstance(dump, bytes)
            client.restore(key, 0, dump)
        marker = next(key for key in kept if key.endswith(b":marker"))
        client.delete(marker)
        assert audit(undisturbed), "nothing was said"
        dump = kept[marker]
        assert isinstance(dump, bytes)
        client.restore(marker, 0, dump)
    assert audit(undisturbed) == []


def test_what_is_wrong_in_redis_is_found(undisturbed: World) -> None:
    """A partial that is missing there is told, and nothing once it is back."""
    assert audit(undisturbed) == []
    with closing(redis.Redis.from_url(undisturbed.addresses.redis_url)) as client:
        key = next(client.scan_iter(f"riverrun:{{{undisturbed.plan.name}:*}}:g:carrier*"))
        stored = client.hgetall(key)
        assert isinstance(stored, dict)
        entity = next(iter(stored))
        client.hdel(key, entity)
        assert [finding.sort for finding in audit(undisturbed)] == [Sort.WRONG]
        client.hset(key, entity, stored[entity])
    assert audit(undisturbed) == []
