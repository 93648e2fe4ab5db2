"""The demo's producer: the same messages for the same seed, the promised faults, and nothing good lost."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Mapping
from io import BytesIO

import fastavro
import pytest

from examples.flights.corruption import AVRO_CORRUPTIONS, JSON_CORRUPTIONS, Record, encode_avro
from examples.flights.publish import SEED as DEMO_SEED
from examples.flights.publish import YEAR_MESSAGES
from examples.flights.source import (
    DISPLACED_SHARE,
    DUPLICATE_SHARE,
    KINDS,
    LATEST_DISPLACEMENT_MS,
    MALFORMED_SHARE,
    RawMessage,
    expected_counts,
    flight_messages,
    parsed_schema,
    publish_plan,
)
from examples.flights.year import STREAMS, StreamSpec, flight_records

IDS = {spec.topic: 100 + i for i, spec in enumerate(STREAMS)}
SPECS = {spec.topic: spec for spec in STREAMS}
GOOD = ("good", "displaced", "duplicate")
SEED = 7
SHORT = 60_000
"""Messages in the runs here: the first three weeks of the year."""

EARLIEST_MS, LATEST_MS = 1_300_000_000_000, 1_500_000_000_000
DELAY_MINUTES = (-120.0, 3_000.0)
RANGES: Mapping[str, tuple[float, float]] = {
    "dep_delay": DELAY_MINUTES,
    "arr_delay": DELAY_MINUTES,
    "distance": (1.0, 6_000.0),
    "temp": (-80.0, 140.0),
}


@pytest.fixture(scope="module")
def messages() -> list[RawMessage]:
    """Make a short run of the producer's messages."""
    return list(flight_messages(IDS, SEED, SHORT))


def _decode_avro(value: bytes, spec: StreamSpec) -> dict[str, object]:
    """Decode as a careful consumer would; timestamps stay integers, so that no date can overflow."""
    magic, schema_id = struct.unpack_from(">bI", value)
    if (magic, schema_id) != (0, IDS[spec.topic]):
        raise ValueError("framing")
    text = json.dumps(parsed_schema(spec)).replace('"logicalType": "timestamp-millis"', '"x": 1')
    schema = fastavro.parse_schema(json.loads(text))
    record = fastavro.schemaless_reader(BytesIO(value[5:]), schema, None)
    if not isinstance(record, dict) or encode_avro(record, schema, schema_id) != value:
        raise ValueError("not the canonical encoding")
    return dict(record)


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _decode_json(value: bytes, spec: StreamSpec) -> dict[str, object]:
    record = json.loads(value.decode(), parse_constant=_no_constant)
    if not isinstance(record, dict) or not fastavro.validate(record, parsed_schema(spec), raise_errors=False):
        raise ValueError("does not fit the schema")
    return record


def _accept(message: RawMessage) -> dict[str, object]:
    """Decode and check a message, independently of riverrun: the judge of what is good."""
    spec = SPECS[message.topic]
    record = (_decode_json if spec.json else _decode_avro)(message.value, spec)
    if message.key is None or message.key.decode() != record[spec.key]:
        raise ValueError("key")
    for name, value in record.items():
        low, high = RANGES.get(name, (-math.inf, math.inf))
        if isinstance(value, float) and not (math.isfinite(value) and low <= value <= high):
            raise ValueError(name)
    time = record[spec.time]
    if not isinstance(time, int) or not EARLIEST_MS < time < LATEST_MS:
        raise ValueError("event time")
    return record


def _is_accepted(message: RawMessage) -> bool:
    try:
        _accept(message)
    except (ValueError, TypeError, KeyError, IndexError, EOFError, RecursionError, MemoryError, struct.error):
        return False
    return True


def test_same_seed_same_messages(messages: list[RawMessage]) -> None:
    """The messages are a function of the seed alone, and a shorter run is the start of a longer one."""
    assert list(flight_messages(IDS, SEED, 3_000)) == messages[:3_000]
    assert list(flight_messages(IDS, SEED + 1, 3_000)) != messages[:3_000]


def test_counts_are_known_in_advance(messages: list[RawMessage]) -> None:
    """`expected_counts` says exactly what comes, by topic and kind."""
    assert Counter((m.topic, m.kind) for m in messages) == expected_counts(SEED, SHORT)
    assert len(messages) == SHORT


def test_good_messages_are_accepted_and_broken_ones_are_not(messages: list[RawMessage]) -> None:
    """Every good message decodes to its schema; every corrupted one can be told from a good one."""
    sample = messages[::10] + [m for m in messages if m.kind not in GOOD]
    wrong = {(m.topic, m.kind) for m in sample if _is_accepted(m) != (m.kind in GOOD)}
    assert wrong == set()


def test_every_corruption_occurs(messages: list[RawMessage]) -> None:
    """A short run already holds every kind of corruption that its formats allow."""
    kinds = {m.kind for m in messages} - set(GOOD)
    assert kinds >= set(AVRO_CORRUPTIONS)
    year = {kind for _, kind in expected_counts(SEED)}
    assert year == set(KINDS) == set(GOOD) | set(AVRO_CORRUPTIONS) | set(JSON_CORRUPTIONS)


def test_shares_of_faults_over_the_year() -> None:
    """Malformed messages, duplicates and displaced messages come in the shares stated, of the good events."""
    assert SEED == DEMO_SEED
    kinds: Counter[str] = Counter()
    for (_, kind), count in expected_counts(SEED).items():
        kinds[kind] += count
    events = kinds["good"] + kinds["displaced"]
    assert (events, kinds.total()) == (1_018_758, YEAR_MESSAGES)
    malformed = sum(count for kind, count in kinds.items() if kind not in GOOD)
    assert malformed / events == pytest.approx(MALFORMED_SHARE, rel=0.06)
    assert kinds["duplicate"] / events == pytest.approx(DUPLICATE_SHARE, rel=0.05)
    assert kinds["displaced"] / events == pytest.approx(DISPLACED_SHARE, rel=0.05)


def test_no_good_event_is_lost_or_changed(messages: list[RawMessage]) -> None:
    """Good and displaced messages are the year's events, each once, but for the cut end of the run."""
    published = [_accept(m) for m in messages[:5_000] if m.kind in ("good", "displaced")]
    ids = [record["event_id"] for record in published]
    assert len(set(ids)) == len(ids)
    wanted: dict[object, Record] = {record["event_id"]: record for _, record in flight_records(5_200)}
    assert all(wanted[event_id] == record for event_id, record in zip(ids, published, strict=True))
    last = max(m.event_time_ms for m in messages[:5_000]) - LATEST_DISPLACEMENT_MS
    missing = set(wanted) - set(ids)
    times = {spec.topic: spec.time for spec in STREAMS}
    due = {r["event_id"] for topic, r in flight_records(5_200) if int(str(r[times[topic]])) < last}
    assert not missing & due


def test_duplicates_repeat_an_earlier_event(messages: list[RawMessage]) -> None:
    """A duplicate has the key, the value and hence the event id of a message published before it."""
    seen: set[tuple[str, bytes]] = set()
    duplicates = 0
    for message in messages:
        if message.kind == "duplicate":
            duplicates += 1
            assert (message.topic, message.value) in seen
        elif message.kind in GOOD:
            assert (message.topic, message.value) not in seen
            seen.add((message.topic, message.value))
    assert duplicates > 300


def test_only_faulty_messages_are_out_of_order() -> None:
    """Good events come in order of event time; displaced ones at most ten minutes behind it."""
    plan = publish_plan(SEED)
    good = plan.times[plan.kinds == KINDS.index("good")]
    assert bool((good[1:] >= good[:-1]).all())
    newest = 0
    behind = []
    for time, kind in zip(plan.times.tolist(), plan.kinds.tolist(), strict=True):
        if kind == KINDS.index("displaced"):
            behind.append(newest - time)
        elif kind == KINDS.index("good"):
            newest = max(newest, time)
    assert max(behind) <= LATEST_DISPLACEMENT_MS
    assert sum(lag > 0 for lag in behind) > 0.5 * len(behind)


def test_corrupted_messages_have_ids_of_their_own(messages: list[RawMessage]) -> None:
    """A corrupted message does not take the good one's event id, so that it is no mere duplicate."""
    trailing = [m for m in messages if m.kind == "trailing_bytes"]
    good = {m.value[:40] for m in messages if m.kind in GOOD}
    assert trailing
    assert not {m.value[:40] for m in trailing} & good


def test_missing_schema_id_is_an_error() -> None:
    """A caller that forgets an Avro stream's schema id hears of it at once."""
    with pytest.raises(KeyError, match=r"flights\.arrived"):
        next(flight_messages({"flights.scheduled": 1}, SEED, 10))
