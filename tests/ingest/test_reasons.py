"""Every way of being refused: a minimal message for each, and all that its dead letter must tell."""

from __future__ import annotations

import gc
import json
import weakref
from struct import pack
from typing import NamedTuple

import pytest

from riverrun.events.decode import Candidate, EventDecoder, Place
from riverrun.events.reasons import MAX_DETAIL, Reason
from riverrun.events.settings import IngestSettings
from riverrun.records.avro import AvroRecord
from riverrun.records.definition import Format
from riverrun.records.framing import frame_header
from riverrun.records.ids import derived_id
from riverrun.records.items import DeadLetter, Source
from riverrun.records.murmur2 import partition_of
from riverrun.runtime.ports import Record
from tests.ingest.made import (
    DAY_MS,
    FIELDS,
    FRAME,
    HEADERS,
    JSON_FIELDS,
    NOW,
    SCHEMA,
    TOPIC,
    avro,
    core_of,
    decoder_of,
    fields_of,
    ids_of,
    json_rule,
    record,
    stream_of,
    text,
)

OTHER: AvroRecord = SCHEMA | {"name": "Other"}
NEWER_TYPE: AvroRecord = SCHEMA | {
    "fields": [row | {"type": "string"} if row["name"] == "value" else row for row in fields_of(SCHEMA)]
}
RECURSIVE: AvroRecord = SCHEMA | {
    "fields": [*fields_of(SCHEMA), {"name": "next", "type": ["null", "Reading"], "default": None}]
}
GOOD = avro()
FIRST_STRING_END = len(FRAME) + 4
YEAR_30000 = 884_541_340_800_000
LONGEST = IngestSettings().max_text


class Case(NamedTuple):
    """A message, what its dead letter's reason is, and words that its detail must hold."""

    value: bytes | None
    reason: Reason
    words: str
    format: Format = "auto"


CASES = {
    "no value": Case(None, Reason.EMPTY, "no value"),
    "no bytes": Case(b"", Reason.EMPTY, "no bytes"),
    "too long a value": Case(b"{" + b" " * (1 << 18), Reason.TOO_LARGE, "262145 bytes, 262144"),
    "neither format": Case(b"\x07binary", Reason.UNKNOWN_FORMAT, "first byte is 7"),
    "JSON where Avro is agreed": Case(text(), Reason.UNKNOWN_FORMAT, "Confluent framing", "avro"),
    "Avro where JSON is agreed": Case(GOOD, Reason.NOT_JSON, "not JSON", "json"),
    "half a frame": Case(GOOD[:3], Reason.TRUNCATED, "3 bytes"),
    "a frame alone": Case(FRAME, Reason.TRUNCATED, "middle of a field"),
    "a cut record": Case(GOOD[:-1], Reason.TRUNCATED, "middle of a field"),
    "an absurd length": Case(FRAME + b"\x80\x80\x80\x80\x80\x40" + GOOD[6:], Reason.TRUNCATED, "middle of a field"),
    "a negative length": Case(FRAME + b"\x03" + GOOD[6:], Reason.TRUNCATED, "Expected -2 bytes"),
    "a varint without end": Case(FRAME + b"\xff" * 40, Reason.UNDECODABLE, "do not decode"),
    "text that is not UTF-8": Case(GOOD.replace(b"r-1", b"r\xff1"), Reason.UNDECODABLE, "UnicodeDecodeError"),
    "no such union branch": Case(GOOD[:-1] + b"\x0a", Reason.UNDECODABLE, "do not decode"),
    "bytes behind": Case(GOOD + b"\x00\x2a", Reason.TRAILING_BYTES, "2 bytes follow"),
    "an overlong varint": Case(FRAME + b"\x86\x00" + GOOD[6:], Reason.NOT_CANONICAL, "from byte 5 on"),
    "a boolean of 2": Case(avro(good=True).replace(b"\x01\x02\x04\x00", b"\x02\x02\x04\x00"), Reason.NOT_CANONICAL, ""),
    "an unknown id": Case(frame_header(4_711) + GOOD[5:], Reason.UNKNOWN_SCHEMA, "4711"),
    "an id beyond all": Case(b"\x00\xff\xff\xff\xff" + GOOD[5:], Reason.UNKNOWN_SCHEMA, "larger than any"),
    "another record": Case(avro(OTHER), Reason.WRONG_SCHEMA, "Other, this topic's events are made.Reading"),
    "an unreadable version": Case(avro(NEWER_TYPE, value="warm"), Reason.WRONG_SCHEMA, "Reading.value was string"),
    "a dangerous version": Case(
        frame_header(derived_id(RECURSIVE)) + GOOD[5:] + b"\x00", Reason.WRONG_SCHEMA, "not safe"
    ),
    "cut JSON": Case(text()[:-1], Reason.NOT_JSON, "not JSON"),
    "deep JSON": Case(b"[" * 20_000, Reason.NOT_JSON, "not"),
    "deep JSON inside": Case(text()[:-1] + b', "deep": ' + b"[" * 3_000 + b"]" * 3_000 + b"}", Reason.NOT_JSON, "not"),
    "JSON that is not UTF-8": Case(text().replace(b"r-1", b"r\xff1"), Reason.NOT_JSON, "not JSON"),
    "the literal NaN": Case(text(value=float("nan")), Reason.NOT_JSON, "not JSON"),
    "a number beyond doubles": Case(text().replace(b"21.5", b"1e999"), Reason.NOT_JSON, "not JSON"),
    "an array": Case(json.dumps(list(JSON_FIELDS.values())).encode(), Reason.WRONG_TYPE, "object, not list"),
    "a field twice": Case(b'{"id": "x", ' + text()[1:], Reason.DUPLICATE_FIELD, "'id'"),
    "a field twice, further in": Case(text()[:-1] + b', "more": {"a": 1, "a": 2}}', Reason.DUPLICATE_FIELD, "'a'"),
    "no field": Case(b'{"id": "r-1"}', Reason.MISSING_FIELD, "'device'"),
    "text for a number": Case(text(value="warm"), Reason.WRONG_TYPE, "'value' must be double, not string 'warm'"),
    "a boolean for a number": Case(text(number=True), Reason.WRONG_TYPE, "int, not boolean"),
    "a fraction for an int": Case(text(number=1.5), Reason.WRONG_TYPE, "int, not number"),
    "a number for text": Case(text(note=3), Reason.WRONG_TYPE, "string or null, not integer"),
    "a number for a boolean": Case(text(good=1), Reason.WRONG_TYPE, "boolean, not integer"),
    "an object for text": Case(text(device={}), Reason.WRONG_TYPE, "string, not object"),
    "null for text": Case(text(device=None), Reason.WRONG_TYPE, "string, not null"),
    "bytes beyond latin": Case(text(blob="\u20ac"), Reason.WRONG_TYPE, "U+00FF"),
    "NaN": Case(avro(value=float("nan")), Reason.NOT_FINITE, "'value' is nan"),
    "infinity": Case(avro(extra=float("-inf")), Reason.NOT_FINITE, "'extra' is -inf"),
    "a float NaN": Case(avro(level=float("nan")), Reason.NOT_FINITE, "'level' is nan"),
    "no such symbol": Case(text(unit="inch"), Reason.OUT_OF_RANGE, "not one of metre, mile"),
    "too large an int": Case(text(number=1 << 31), Reason.OUT_OF_RANGE, "32 bits"),
    "too large a long": Case(text(at=(1 << 63)), Reason.OUT_OF_RANGE, "64 bits"),
    "an integer no double holds": Case(text(value=(1 << 53) + 1), Reason.OUT_OF_RANGE, "no double"),
    "too large a float": Case(text(level=1e39), Reason.OUT_OF_RANGE, "too large for a float"),
    "too long a text": Case(avro(note="x" * (LONGEST + 1)), Reason.OUT_OF_RANGE, f"at most {LONGEST}"),
    "too long a blob": Case(avro(blob=b"x" * (LONGEST + 1)), Reason.OUT_OF_RANGE, f"at most {LONGEST}"),
    "the year 30000": Case(avro(at=YEAR_30000), Reason.BAD_TIME, "is it in milliseconds?"),
    "before 1970": Case(text(at=-1), Reason.BAD_TIME, "1970"),
    "a year ahead": Case(avro(at=NOW + 365 * DAY_MS), Reason.BAD_TIME, "ahead of the record's timestamp"),
    "no key": Case(avro(device=""), Reason.BAD_KEY, "'device'"),
    "no id": Case(text(id=""), Reason.BAD_ID, "'id'"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_wrong_gets_a_dead_letter_with_everything(case: Case) -> None:
    """The dead letter has the reason, a detail in words, where the record came from, and the record unchanged."""
    decoder = decoder_of(stream_of(format_=case.format), ids=ids_of(OTHER, NEWER_TYPE, RECURSIVE))
    letter = decoder.decode(record(case.value, offset=42))
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, case.words in letter.detail) == (case.reason.value, True), letter.detail
    assert 0 < len(letter.detail) <= MAX_DETAIL
    assert letter == DeadLetter(
        reason=case.reason.value,
        detail=letter.detail,
        source=Source(TOPIC, 0, 42),
        timestamp=NOW,
        key=b"d-1",
        value=case.value,
        headers=tuple(HEADERS),
    )


class Batch(list[Record]):
    """Records that were read together; can be pointed at weakly."""


def _decoded_in_a_batch(decoder: EventDecoder, value: bytes | None) -> weakref.ref[Batch]:
    batch = Batch([record(value)])
    for each in batch:
        assert isinstance(decoder.decode(each), DeadLetter)
    return weakref.ref(batch)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_nothing_that_was_refused_is_kept(case: Case) -> None:
    """What is remembered of it, such as an unknown schema id, holds no frame, and so no batch of huge records."""
    decoder = decoder_of(stream_of(format_=case.format), ids=ids_of(OTHER, NEWER_TYPE, RECURSIVE))
    gc.disable()
    try:
        assert _decoded_in_a_batch(decoder, case.value)() is None
    finally:
        gc.enable()


def test_a_record_in_the_wrong_partition_is_misrouted() -> None:
    """Where streams are joined by key, a record must lie where murmur2 puts its key; elsewhere it need not."""
    right = partition_of(b"d-1", 4)
    wrong = (right + 1) % 4
    joined = stream_of(joined=True)
    assert isinstance(decoder_of(joined, place=Place(right, 4)).decode(record(GOOD, partition=right)), Candidate)
    letter = decoder_of(joined, place=Place(wrong, 4)).decode(record(GOOD, partition=wrong))
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "misrouted"
    assert f"belongs in partition {right} of 4" in letter.detail
    assert "murmur2_random" in letter.detail
    alone = decoder_of(stream_of(), place=Place(wrong, 4))
    assert isinstance(alone.decode(record(GOOD, partition=wrong)), Candidate)


def test_a_broken_rule_is_named() -> None:
    """An event that breaks a rule becomes a dead letter with the rule's text; one that lacks the value passes."""
    core = core_of(stream_of(rules=(json_rule("extra", 10.0),)))
    (letter,) = core.step(core.decode(record(text(extra=10.5), offset=3)))
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.detail) == ("rule", "the event breaks the rule extra <= 10.0")
    assert (letter.value, letter.key, letter.headers) == (text(extra=10.5), b"d-1", tuple(HEADERS))
    assert letter.source == Source(TOPIC, 0, 3)
    (event,) = core.step(core.decode(record(text(extra=None))))
    assert not isinstance(event, DeadLetter)


def test_every_reason_has_a_case() -> None:
    """No reason code goes without a message that shows it."""
    elsewhere = {Reason.MISROUTED, Reason.RULE}
    assert {case.reason for case in CASES.values()} | elsewhere == set(Reason)
    assert all(reason.explanation.endswith(".") for reason in Reason)


def test_a_long_detail_is_cut() -> None:
    """However long what a producer wrote, the detail stays short."""
    unit = "x" * 5_000
    letter = decoder_of().decode(record(json.dumps(JSON_FIELDS | {"unit": unit}).encode()))
    assert isinstance(letter, DeadLetter)
    assert len(letter.detail) <= MAX_DETAIL
    many = SCHEMA | {"name": "N" * 2_000}
    letter = decoder_of(ids=ids_of(many)).decode(record(avro(many)))
    assert isinstance(letter, DeadLetter)
    assert len(letter.detail) == MAX_DETAIL
    assert letter.detail.endswith("...")


def test_a_dead_letter_keeps_what_a_broker_takes() -> None:
    """Of a value that a broker would not take again the beginning is kept, and the detail says so."""
    settings = IngestSettings(max_kept_bytes=1_000)
    value = b"\x07" * 5_000
    letter = decoder_of(settings=settings).decode(record(value))
    assert isinstance(letter, DeadLetter)
    assert letter.value is not None
    assert value.startswith(letter.value)
    assert 900 < len(letter.value) <= 1_000
    assert f"the first {len(letter.value)} of 5000 bytes are kept" in letter.detail
    huge = record(b"\x07")._replace(headers=(("h", b"x" * 200_000),))
    letter = decoder_of(settings=settings).decode(huge)
    assert isinstance(letter, DeadLetter)
    assert (letter.headers, letter.key, letter.value) == ((), b"d-1", b"\x07")
    assert "headers dropped" in letter.detail


def test_times_ahead_may_be_allowed() -> None:
    """A stream without a limit takes events of the future, as a replay of a simulation has; never the year 10000."""
    decoder = decoder_of(stream_of(max_future_ms=None))
    ahead = decoder.decode(record(avro(at=NOW + 5_000 * DAY_MS)))
    assert isinstance(ahead, Candidate)
    assert ahead.time == NOW + 5_000 * DAY_MS
    assert isinstance(decoder.decode(record(avro(at=253_402_300_800_000))), DeadLetter)


def test_a_float_is_kept_as_the_wire_has_it() -> None:
    """A JSON number for a float field is folded at the precision that later readers will see."""
    candidate = decoder_of().decode(record(text(level=0.1)))
    assert isinstance(candidate, Candidate)
    assert pack("<f", 0.1) == pack("<f", float(str(candidate.event.fields["level"])))
    assert candidate.event.fields["level"] != 0.1
    assert FIELDS["level"] == 0.25
