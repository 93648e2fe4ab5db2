"""What is good is accepted as it was meant: both formats, old schemas, canonical bytes, what is remembered of ids."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.errors import SettingsError, UnavailableError
from riverrun.events.decode import Candidate, EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.records.avro import AvroRecord, make_reader
from riverrun.records.framing import FRAME_SIZE, frame_header
from riverrun.records.ids import ManifestIds, derived_id
from riverrun.records.items import DeadLetter, Event, Source
from tests.ingest.made import (
    FIELDS,
    FRAME,
    JSON_FIELDS,
    NOW,
    SCHEMA,
    TOPIC,
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
OVERLONG = FRAME + b"\x86\x00" + avro()[6:]


def accepted(decoder: EventDecoder, value: bytes) -> Event:
    """Decode a value that must be accepted."""
    candidate = decoder.decode(record(value))
    assert isinstance(candidate, Candidate), candidate
    return candidate.event


@pytest.mark.parametrize("value", [avro(), text(), b" \n" + text() + b"\n"], ids=["avro", "json", "spaced json"])
def test_both_formats_become_the_same_event(value: bytes) -> None:
    """Avro and JSON of one reading give one event, whose payload is the canonical Avro record."""
    event = accepted(decoder_of(), value)
    assert event == Event("readings", "r-1", "d-1", NOW, FIELDS, avro(), Source(TOPIC, 0, 7))
    assert [type(each) for each in event.fields.values()] == [type(each) for each in FIELDS.values()]


def test_absent_members_take_the_schemas_defaults() -> None:
    """JSON that leaves out what has a default gets it; members that the schema does not have are dropped."""
    needed = ("id", "device", "at", "value")
    event = accepted(decoder_of(), json.dumps({**{name: JSON_FIELDS[name] for name in needed}, "new": [1]}).encode())
    assert {name: value for name, value in event.fields.items() if name not in needed} == {
        "level": 0.5,
        "number": 1,
        "good": True,
        "unit": "metre",
        "blob": b"\xff",
        "note": None,
        "extra": 2.5,
    }
    assert make_reader(SCHEMA, FRAME_SIZE)(event.payload) == event.fields


def test_whole_numbers_stand_for_doubles_where_nothing_is_lost() -> None:
    """``21`` is a double where the schema says so, of the type float."""
    event = accepted(decoder_of(), text(value=21, level=2))
    assert (event.fields["value"], event.fields["level"]) == (21.0, 2.0)
    assert type(event.fields["value"]) is type(event.fields["level"]) is float


def test_ids_and_keys_may_be_numbers() -> None:
    """An integer id or key is its decimal text."""
    schema = SCHEMA | {
        "name": "Numbered",
        "fields": [row | {"type": "long"} if row["name"] in ("id", "device") else row for row in fields_of(SCHEMA)],
    }
    event = accepted(decoder_of(stream_of(schema=schema)), avro(schema, id=17, device=-3))
    assert (event.id, event.key) == ("17", "-3")


def test_an_older_version_is_read_into_the_current_one() -> None:
    """A message of an older schema gets the defaults of what is new, and becomes a record of the current schema."""
    event = accepted(decoder_of(ids=ids_of(OLD)), avro(OLD))
    assert event.fields == FIELDS | {"note": None}
    assert event.payload == avro(note=None)


def test_an_older_version_is_held_to_its_own_canonical_bytes() -> None:
    """Bytes that no encoder writes are noticed whichever version of the schema wrote them."""
    overlong = frame_header(derived_id(OLD)) + b"\x86\x00" + avro(OLD)[6:]
    letter = decoder_of(ids=ids_of(OLD)).decode(record(overlong))
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "not_canonical"
    lenient = decoder_of(ids=ids_of(OLD), settings=IngestSettings(check_canonical=False))
    assert accepted(lenient, overlong).payload == avro(note=None)


def test_the_canonical_check_can_be_turned_off() -> None:
    """Without the check an overlong length is accepted; what is written on is canonical all the same."""
    assert isinstance(decoder_of().decode(record(OVERLONG)), DeadLetter)
    assert accepted(decoder_of(settings=IngestSettings(check_canonical=False)), OVERLONG).payload == avro()


class Registry:
    """Schema ids that answer when they are up, and count how often they are asked."""

    def __init__(self, *known: AvroRecord) -> None:
        self.inner: ManifestIds = ids_of(*known)
        self.up = True
        self.asked = 0

    def id_of(self, subject: str, schema: AvroRecord) -> int:
        return self.inner.id_of(subject, schema)

    def schema_of(self, schema_id: int) -> AvroRecord:
        self.asked += 1
        if not self.up:
            raise UnavailableError("the registry is away")
        return self.inner.schema_of(schema_id)


def test_an_unreachable_registry_decides_nothing() -> None:
    """While nobody can tell what an id means, the record is neither accepted nor refused; then it is accepted."""
    registry = Registry(OLD)
    decoder = EventDecoder(stream_of(), registry, Place(0, 1), IngestSettings())
    registry.up = False
    with pytest.raises(UnavailableError):
        decoder.decode(record(avro(OLD)))
    assert accepted(decoder, avro()).id == "r-1"
    registry.up = True
    assert accepted(decoder, avro(OLD)).id == "r-1"


def test_what_an_id_means_is_asked_once() -> None:
    """Known and unknown ids alike are remembered, so that a stranger's flood does not become the registry's."""
    registry = Registry(OLD)
    decoder = EventDecoder(stream_of(), registry, Place(0, 1), IngestSettings())
    for _ in range(5):
        decoder.decode(record(avro(OLD)))
        decoder.decode(record(frame_header(4_711) + avro()[5:]))
    assert registry.asked == 2
    for number in range(2_000):
        decoder.decode(record(frame_header(5_000 + number) + avro()[5:]))
    registry.asked = 0
    decoder.decode(record(frame_header(6_999) + avro()[5:]))
    decoder.decode(record(frame_header(4_711) + avro()[5:]))
    assert registry.asked == 1


def test_settings_come_from_the_environment() -> None:
    """Each variable sets its bound; what is no number or switch is refused by name."""
    assert IngestSettings.from_environment({}) == IngestSettings()
    given_ = {
        "RIVERRUN_MAX_MESSAGE_BYTES": "10",
        "RIVERRUN_MAX_TEXT": "20",
        "RIVERRUN_MAX_KEPT_BYTES": "30",
        "RIVERRUN_CHECK_CANONICAL": "False",
    }
    assert IngestSettings.from_environment(given_) == IngestSettings(10, 20, check_canonical=False, max_kept_bytes=30)
    for name, value in (("RIVERRUN_MAX_TEXT", "-1"), ("RIVERRUN_MAX_KEPT_BYTES", "many")):
        with pytest.raises(SettingsError, match=name):
            IngestSettings.from_environment({name: value})
    with pytest.raises(SettingsError, match="true or false"):
        IngestSettings.from_environment({"RIVERRUN_CHECK_CANONICAL": "perhaps"})


finite = st.floats(allow_nan=False, allow_infinity=False)
longs = st.integers(-(2**63), 2**63 - 1)
words = st.text(max_size=40)


@given(
    fields=st.fixed_dictionaries(
        {
            "id": words.filter(bool),
            "device": words.filter(bool),
            "at": st.integers(0, NOW),
            "value": finite,
            "level": st.floats(width=32, allow_nan=False, allow_infinity=False),
            "number": st.integers(-(2**31), 2**31 - 1),
            "good": st.booleans(),
            "unit": st.sampled_from(["metre", "mile"]),
            "blob": st.binary(max_size=40),
            "note": st.none() | words,
            "extra": st.none() | finite,
        }
    )
)
def test_every_value_survives_in_both_formats(fields: dict[str, object]) -> None:
    """Whatever a field may hold comes out as it went in, and the payload is byte for byte what fastavro writes."""
    decoder = decoder_of()
    blob = fields["blob"]
    assert isinstance(blob, bytes)
    framed = avro(**fields)
    for value in (framed, json.dumps(fields | {"blob": blob.decode("latin-1")}).encode()):
        event = accepted(decoder, value)
        assert event.fields == fields
        assert event.payload == framed
