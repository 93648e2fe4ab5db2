"""From a body to events: what is refused and why, what is filled in, and in which form an event is published."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.events.decode import Candidate, EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.events.streams import streams_of
from riverrun.pipeline import Pipeline
from riverrun.runtime.ports import Record
from riverrun.testing.small_pipeline import make_pipeline
from riverrun.testing.small_world import make_codecs
from services.gateway.admission import Admission, Admitted, Defaults, Limits
from services.gateway.problems import Problem

NOW = 1_700_000_000_000
PIPELINE: Pipeline = make_pipeline("admitted")
IDS, CODECS = make_codecs(PIPELINE)
SETTINGS = IngestSettings()
EVENT = {"id": "a1", "who": "w", "place": "x", "at": 5, "size": 1.0}


def made(written: Literal["auto", "avro", "json"] = "auto", name: str = "asked") -> tuple[Admission, EventDecoder]:
    """Return what admits events of a stream, and what `ingest` decodes its messages with."""
    stream = next(each for each in streams_of(PIPELINE, CODECS.streams) if each.schema.name == name)
    stream = replace(stream, schema=replace(stream.schema, format=written))
    decoder = EventDecoder(stream, IDS, Place(0, 1), SETTINGS)
    defaults = Defaults(lambda: "new", lambda: NOW)
    return Admission(stream, decoder, Limits(3, SETTINGS.max_text, 20_000), defaults), decoder


def refusal(body: bytes) -> Problem:
    """Return the problem that a body is answered with."""
    with pytest.raises(Problem) as caught:
        made()[0].take(body)
    return caught.value


@pytest.mark.parametrize("written", ["auto", "avro", "json"])
def test_ingest_reads_the_same_event(written: Literal["auto", "avro", "json"]) -> None:
    """What is published is in the stream's format, and decodes to the very event that was admitted."""
    admission, decoder = made(written)
    (admitted,), listed = admission.take(json.dumps(EVENT).encode())
    record = admitted.record
    assert (record.topic, record.key, listed) == ("admitted-raw.asked", b"w", False)
    assert (record.value[:1] == b"{") == (written == "json")
    found = decoder.decode(Record(record.topic, 0, 7, NOW, record.key, record.value, ()))
    assert isinstance(found, Candidate)
    mine = admitted.event
    assert (found.event.id, found.event.key, found.event.time) == (mine.id, mine.key, mine.time)
    assert (found.event.fields, found.event.payload) == (mine.fields, mine.payload)


@given(st.fixed_dictionaries({"place": st.text(max_size=9), "who": st.text(min_size=1, max_size=9)}), st.integers(0, 9))
def test_what_is_admitted_is_never_a_dead_letter(texts: dict[str, str], size: int) -> None:
    """Whatever the gateway lets in, `ingest` accepts."""
    admission, decoder = made("json")
    (admitted,), _ = admission.take(json.dumps({**texts, "size": size}).encode())
    record = admitted.record
    assert isinstance(decoder.decode(Record(record.topic, 0, 0, NOW, record.key, record.value, ())), Candidate)


def test_id_and_time_are_filled_in() -> None:
    """An event without an id gets one, one without a time that of receipt; those that are given stay."""
    admission, _ = made("json")
    body = json.dumps([{"who": "w", "place": "x", "size": 1}, EVENT]).encode()
    (new, given_), listed = admission.take(body)
    assert (new.event.id, new.event.time, listed) == ("new", NOW, True)
    assert (given_.event.id, given_.event.time) == ("a1", 5)
    assert json.loads(new.record.value)["id"] == "new"


def test_whole_numbers_may_be_written_with_a_point() -> None:
    """7.0 is an integer to JSON Schema, so it is one here; 7.5 is none."""
    (admitted,), _ = made()[0].take(json.dumps(EVENT | {"at": 7.0}).encode())
    assert admitted.event.time == 7
    assert type(admitted.event.fields["at"]) is int
    assert refusal(json.dumps(EVENT | {"at": 7.5}).encode()).members["reason"] == "wrong_type"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "not_json"),
        (b"\xff", 400, "not_json"),
        (b"7", 422, "wrong_type"),
        (b"[[]]", 422, "wrong_type"),
        (b'{"who":"w","who":"v"}', 422, "duplicate_field"),
        (b'[{},{"who":{"a":1,"a":2}}]', 422, "duplicate_field"),
        (b"{}", 422, "missing_field"),
        (json.dumps(EVENT | {"who": ""}).encode(), 422, "bad_key"),
        (json.dumps(EVENT | {"id": ""}).encode(), 422, "bad_id"),
        (json.dumps(EVENT | {"at": -1}).encode(), 422, "bad_time"),
        (json.dumps(EVENT | {"place": "x" * 20_000}).encode(), 422, "out_of_range"),
        (json.dumps(EVENT | {"place": "x" * 15_000, "who": "y" * 15_000}).encode(), 422, "too_large"),
        (json.dumps(EVENT | {"size": -0.5}).encode(), 422, "rule"),
    ],
)
def test_what_would_be_a_dead_letter_is_a_problem(body: bytes, status: int, reason: str) -> None:
    """It has the reason code that its dead letter would have; what breaks a rule is refused too."""
    problem = refusal(body)
    assert (problem.kind.status, problem.members["reason"]) == (status, reason)


def test_the_position_of_the_bad_one_is_told() -> None:
    """One bad event of several refuses all, and its position is named; too many at once break the schema as well."""
    assert refusal(json.dumps([EVENT, EVENT, {}]).encode()).members["position"] == 2
    many = refusal(json.dumps([EVENT] * 4).encode())
    assert (many.kind.status, many.members) == (422, {"reason": "too_large"})
    admitted, _ = made()[0].take(b"[]")
    assert admitted == list[Admitted]()
