"""The flights example's faults, folded by ingest with the example's own pipeline: every count is the one foretold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from examples.flights.source import expected_counts, flight_messages
from riverrun.events.decode import EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.events.stream import IngestStream, Rule
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import FieldRef, compile_expression, describe, fields_in, load
from riverrun.records.ids import ManifestIds
from riverrun.records.items import DeadLetter
from riverrun.runtime.keyed_state import KeyedState
from riverrun.runtime.ports import Record
from riverrun.runtime.seen_ids import SeenIds
from riverrun.testing.key_value import MemoryKeyValueStore
from services.ingest.core import IngestCore

FILE = Path("examples/flights/pipeline.py")
SEED = 7
LIMIT = 5_000

OUTCOMES: Final = {
    "good": "accepted",
    "displaced": "accepted",
    "duplicate": "duplicate",
    "truncated": "truncated",
    "absurd_length": "truncated",
    "overlong_varint": "not_canonical",
    "unknown_schema": "unknown_schema",
    "unframed": "unknown_format",
    "trailing_bytes": "trailing_bytes",
    "far_future": "bad_time",
    "impossible_value": "rule",
    "no_key": "bad_key",
    "empty": "empty",
    "cut_json": "not_json",
    "wrong_type": "wrong_type",
    "missing_field": "missing_field",
    "not_an_object": "wrong_type",
    "not_utf8": "not_json",
    "too_deep": "not_json",
}
"""What becomes of each kind of message."""


def outcome(topic: str, kind: str) -> str:
    """Return what becomes of a message; NaN is no JSON, and no number in Avro."""
    if kind == "nan":
        return "not_json" if topic == "weather.observed" else "not_finite"
    return OUTCOMES[kind]


def made_core() -> tuple[IngestCore, dict[str, int]]:
    """Build ingest for the flights pipeline; return it with the schema ids by topic."""
    pipeline = load(Path(__file__).parents[2] / FILE)
    ids = ManifestIds([], [], lambda entry: None)
    by_name = {stream.name: stream for stream in pipeline.streams}
    rules: dict[str, list[Rule]] = {}
    for rule in pipeline.rules:
        name = next(each.stream.name for each in fields_in(rule) if isinstance(each, FieldRef))
        rules.setdefault(name, []).append(Rule(describe(rule), compile_expression(rule)))
    streams = [
        IngestStream(
            schema,
            tuple(rules.get(schema.name, ())),
            max_future_ms=by_name[schema.name].max_future_ms,
        )
        for schema in schemas_of(pipeline).streams
    ]
    settings = IngestSettings()
    decoders = {each.schema.topic: EventDecoder(each, ids, Place(0, 1), settings) for each in streams}
    seen = SeenIds(KeyedState(MemoryKeyValueStore()), horizon_ms=pipeline.dedupe_ms)
    topics = {each.schema.topic: ids.id_of(each.schema.subject, each.schema.schema) for each in streams}
    return IngestCore(streams, decoders, seen, settings), topics


def test_every_fault_of_the_flights_is_found_and_counted() -> None:
    """Of 5,000 messages each becomes what its kind foretells: an event, a duplicate or a dead letter by reason."""
    core, ids = made_core()
    wrong: list[tuple[str, str, str]] = []
    for number, (topic, key, value, time, kind) in enumerate(flight_messages(ids, SEED, LIMIT)):
        outputs = core.step(core.decode(Record(topic, 0, number, time, key, value, ())))
        out = outputs[0] if outputs else None
        got = "duplicate" if out is None else out.reason if isinstance(out, DeadLetter) else "accepted"
        if got != outcome(topic, kind):
            wrong.append((topic, kind, got))
    assert not wrong
    foretold: Counter[str] = Counter()
    for (topic, kind), count in expected_counts(SEED, LIMIT).items():
        foretold[outcome(topic, kind)] += count
    accepted, duplicates = foretold.pop("accepted"), foretold.pop("duplicate")
    assert len(foretold) >= 8
    assert core.counters() == {
        "accepted": accepted,
        "duplicates": duplicates,
        "dead_letters": foretold.total(),
        **{f"dead:{reason}": count for reason, count in foretold.items()},
    }
    assert accepted + duplicates + foretold.total() == LIMIT
