"""Strangers' bytes, damaged in every way that chance finds: each gets an answer, and nothing else ever escapes."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.events.decode import LAST_TIME_MS, Candidate, EventDecoder
from riverrun.events.reasons import MAX_DETAIL, Reason
from riverrun.events.settings import IngestSettings
from riverrun.records.framing import FRAME_SIZE, frame_header
from riverrun.records.ids import derived_id
from riverrun.records.items import DeadLetter
from tests.ingest.made import (
    FIELDS,
    FRAME,
    SCHEMA,
    avro,
    decoder_of,
    fields_of,
    ids_of,
    record,
    stream_of,
    text,
    without,
)

OLD = without("note")
MUTANTS = 20_000
SEEDS = (avro(), avro(OLD), text(), avro(note=None, extra=7.0), text(note="\\u0000\n"))
BOMBS = (
    b"\xff" * 9 + b"\x01",
    b"\xfe\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x40",
    b"\x01",
    b"\x00" * 64,
    b"[" * 400,
    b'{"a":' * 400,
    b"1e400",
    b"-0",
    b"\xed\xa0\x80",
    b"\\ud800",
)

Mutation = Callable[[random.Random, bytes], bytes]


def flip(chance: random.Random, value: bytes) -> bytes:
    """Flip one bit."""
    spoiled = bytearray(value)
    spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def cut(chance: random.Random, value: bytes) -> bytes:
    """Drop the end."""
    return value[: chance.randrange(len(value))]


def bomb(chance: random.Random, value: bytes) -> bytes:
    """Put absurd lengths, depths and numbers in the place of some bytes."""
    at = chance.randrange(len(value))
    return value[:at] + chance.choice(BOMBS) + value[at + chance.randrange(8) :]


def splice(chance: random.Random, value: bytes) -> bytes:
    """Go on with another message in the middle."""
    other = chance.choice(SEEDS)
    return value[: chance.randrange(len(value))] + other[chance.randrange(len(other)) :]


def noise(chance: random.Random, value: bytes) -> bytes:
    """Put random bytes behind the frame."""
    return value[:FRAME_SIZE] + chance.randbytes(chance.randrange(80))


MUTATIONS: tuple[Mutation, ...] = (flip, cut, bomb, splice, noise)


def judge(decoder: EventDecoder, value: bytes) -> str:
    """Decode, and hold the answer to what is promised of it; return the reason, or ``accepted``."""
    answer = decoder.decode(record(value))
    if isinstance(answer, DeadLetter):
        assert answer.reason in set(Reason)
        assert 0 < len(answer.detail) <= MAX_DETAIL
        assert answer.value == value
        return answer.reason
    assert isinstance(answer, Candidate)
    event = answer.event
    assert event.id
    assert event.key
    assert 0 <= event.time <= LAST_TIME_MS
    assert set(event.fields) == set(FIELDS)
    # What was accepted is whole: its own record is canonical and says the same.
    again = decoder.decode(record(event.payload))
    assert isinstance(again, Candidate)
    assert again.event == event
    return "accepted"


@pytest.mark.parametrize("check_canonical", [True, False], ids=["checked", "unchecked"])
def test_mutated_messages_get_an_answer(check_canonical: bool) -> None:
    """20,000 damaged messages: each becomes a sound event or a dead letter, by a dozen reasons and more."""
    chance = random.Random(20_250_101)
    decoder = decoder_of(ids=ids_of(OLD), settings=IngestSettings(check_canonical=check_canonical))
    answers: Counter[str] = Counter()
    for _ in range(MUTANTS // 2):
        value = chance.choice(SEEDS)
        for _ in range(chance.choice((1, 1, 2, 4))):
            value = chance.choice(MUTATIONS)(chance, value or b"\x00")
        answers[judge(decoder, value)] += 1
    assert len(answers) > 12
    assert answers["accepted"] < MUTANTS // 4


def said(answer: Candidate | DeadLetter) -> tuple[str, ...]:
    """Return what an answer says, so that a NaN is like another."""
    if isinstance(answer, DeadLetter):
        return answer.reason, answer.detail
    event = answer.event
    return event.id, event.key, str(event.time), repr(event.fields), event.payload.hex()


@pytest.mark.parametrize("check_canonical", [True, False], ids=["checked", "unchecked"])
def test_read_by_hand_or_not_the_answer_is_the_same(check_canonical: bool) -> None:
    """10,000 damaged messages of a flat schema, which are read without fastavro: as if fastavro had read them."""
    flat = SCHEMA | {"fields": [row for row in fields_of(SCHEMA) if row["name"] not in {"level", "unit"}]}
    settings = IngestSettings(check_canonical=check_canonical)
    by_hand, by_fastavro = (decoder_of(stream_of(schema=flat), settings) for _ in range(2))
    assert by_fastavro._avro._whole is not None
    by_fastavro._avro._whole = None
    chance = random.Random(20_261_127)
    seeds = (avro(flat), avro(flat, note=None, extra=7.0, blob=b""), avro(flat, device="d", number=2**31 - 1))
    answers: Counter[str] = Counter()
    for _ in range(MUTANTS // 2):
        value = chance.choice(seeds)
        for _ in range(chance.choice((0, 1, 1, 2))):
            value = chance.choice(MUTATIONS)(chance, value or b"\x00")
        answer = by_hand.decode(record(value))
        assert said(answer) == said(by_fastavro.decode(record(value)))
        answers[answer.reason if isinstance(answer, DeadLetter) else "accepted"] += 1
    assert len(answers) > 6
    assert answers["accepted"] > MUTANTS // 20


def test_most_flipped_bits_are_noticed() -> None:
    """Of all single flipped bits in an Avro record, those that pass are in the values themselves."""
    decoder = decoder_of()
    value = avro()
    passed = 0
    for at in range(FRAME_SIZE * 8, len(value) * 8):
        spoiled = bytearray(value)
        spoiled[at // 8] ^= 1 << at % 8
        passed += judge(decoder, bytes(spoiled)) == "accepted"
    free_bits = 8 * (len("r-1d-1Zürich") + 1 + 8 + 4 + 2 + 7)
    assert 0 < passed < free_bits


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(value: bytes) -> None:
    """No bytes at all make the decoder raise, framed or not."""
    decoder = decoder_of()
    judge(decoder, value)
    judge(decoder, FRAME + value)
    judge(decoder, b"\x00" + value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
        max_leaves=20,
    ),
    st.sampled_from(sorted(FIELDS)),
)
def test_any_json_gets_an_answer(value: object, name: str) -> None:
    """No JSON makes the decoder raise, as the message or as the value of any field."""
    decoder = decoder_of()
    judge(decoder, json.dumps(value).encode())
    judge(decoder, text(**{name: value}))


@given(st.integers(0, 2**32 - 1))
def test_any_schema_id_gets_an_answer(number: int) -> None:
    """Every four bytes in the place of the schema id are answered: as unknown, unless they are the stream's own."""
    reason = judge(decoder_of(), frame_header(number) + avro()[FRAME_SIZE:])
    assert reason == ("accepted" if number == derived_id(SCHEMA) else "unknown_schema")
