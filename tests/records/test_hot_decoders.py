"""The decoders made by hand: nothing but a whole record passes, and events may be read in part.

That they read what fastavro writes follows from ``test_codecs``: the encoders write fastavro's bytes, and every item
survives the wire.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from riverrun.records.avro import AvroRecord, make_reader, make_writer, parsed
from riverrun.records.brief_events import BriefEvents
from riverrun.records.codecs import CodecError
from riverrun.records.flat_records import ODD, make_field_reader, make_flat_reader, make_whole_reader
from riverrun.records.framing import frame_header
from riverrun.records.headers import Stamp, build_for_event
from riverrun.records.ids import Entry, derived_id
from riverrun.records.items import Event, Source
from riverrun.runtime.ports import Record
from riverrun.runtime.wire import Wire
from tests.records.made import EVENT, ITEMS, PARCEL, PREDICTION, codecs_of

CODECS = codecs_of()
SOURCE = Source("golden.events", 0, 7)
HOT = ("vector", "vector_of_nulls", "prediction", "example_labelled", "example_expired")
MIXED_FIELDS: list[AvroRecord] = [
    {"name": "real", "type": "double"},
    {"name": "first", "type": ["null", "string"], "default": None},
    {"name": "last", "type": ["long", "null"], "default": 0},
    {"name": "flag", "type": "boolean"},
    {"name": "blob", "type": {"type": "bytes"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "nested", "type": {"type": "array", "items": "int"}},
    {"name": "after", "type": "int"},
]
MIXED: AvroRecord = {"type": "record", "name": "Mixed", "fields": MIXED_FIELDS}
FLAT_FIELDS = [field for field in MIXED_FIELDS if field["name"] != "nested"]
FLAT: AvroRecord = {
    **MIXED,
    "fields": [*FLAT_FIELDS, {"name": "words", "type": "string"}, {"name": "end", "type": "double"}],
}
RECORD: AvroRecord = {
    "real": 0.5,
    "first": None,
    "last": 3,
    "flag": True,
    "blob": b"\x00",
    "at": 5,
    "nested": [1, 2],
    "after": -1,
    "words": "Zürich",
    "end": 2.5,
}
OVERLONG = st.builds(
    lambda first, count, last: first + b"\xff" * count + last,
    st.sampled_from((b"\xff", b"\xfe", b"\x80")),
    st.integers(0, 11),
    st.sampled_from((b"\x00", b"\x01", b"\x7f")),
)
"""Integers of more bytes than they need, or than there may be."""


@pytest.mark.parametrize("name", HOT)
def test_only_a_whole_record_is_read(name: str) -> None:
    """A record that is cut anywhere, or goes on behind its end, is refused in words, never read as another."""
    item = ITEMS[name]
    _, value, headers = CODECS.to_wire(item, 0)
    for end in range(len(value)):
        with pytest.raises(CodecError):
            CODECS.from_wire(value[:end], headers)
    with pytest.raises(CodecError, match="cannot decode"):
        CODECS.from_wire(value + b"\x00", headers)
    assert type(CODECS.from_wire(value, headers)[0]) is type(item)


def test_blocks_with_sizes_are_refused() -> None:
    """Avro allows arrays in sized blocks, which riverrun never writes: they are no records of its own."""
    _, value, headers = CODECS.to_wire(replace(PREDICTION, scores=(), payload=b""), 0)
    assert value.endswith(b"\x00\x0cvector")
    sized = value.replace(b"\x00\x0cvector", b"\x01\x02\x00\x00\x0cvector")
    with pytest.raises(CodecError, match="blocks with sizes"):
        CODECS.from_wire(sized, headers)


records = st.fixed_dictionaries(
    {
        "real": st.floats(allow_nan=False),
        "first": st.none() | st.text(max_size=100),
        "last": st.none() | st.integers(-(2**63), 2**63 - 1),
        "flag": st.booleans(),
        "blob": st.binary(max_size=100),
        "at": st.integers(0, 2**45),
        "nested": st.lists(st.integers(0, 9), max_size=3),
        "after": st.integers(-9, 9),
        "words": st.text(max_size=100),
        "end": st.floats(allow_nan=False),
    }
)


@given(records, st.sets(st.sampled_from(["real", "first", "last", "flag", "blob", "at"]), min_size=1))
def test_fields_are_read_as_by_fastavro(record: AvroRecord, names: set[str]) -> None:
    """Reading a few fields gives what reading all gives, whatever lies between them."""
    value = make_writer(MIXED, frame_header(7))(record)
    whole = make_reader(MIXED, 5)(value)
    read = make_field_reader(MIXED, sorted(names))
    assert read is not None
    assert read(value) == {name: whole[name] for name in names}


flat_records = records.map(lambda record: {name: value for name, value in record.items() if name != "nested"})


@given(flat_records)
def test_a_whole_record_is_read_as_by_fastavro(record: AvroRecord) -> None:
    """By hand and at once: no field is left to fastavro."""
    value = make_writer(FLAT, frame_header(7))(record)
    read = make_whole_reader(FLAT)
    assert read is not None
    assert read(value) == make_reader(FLAT, 5)(value)


@given(flat_records, st.data())
def test_whatever_is_read_fastavro_reads_the_same(record: AvroRecord, data: st.DataObject) -> None:
    """Of bytes that somebody has changed, cut or prolonged: by hand they are a whole record, the same one, or odd."""
    value = bytearray(make_writer(FLAT, frame_header(7))(record))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(5, len(value)))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=12) | OVERLONG)
    read = make_whole_reader(FLAT)
    assert read is not None
    try:
        found = read(bytes(value))
    except ODD:
        return
    source = BytesIO(value)
    source.seek(5)
    expected = schemaless_reader(source, parsed(FLAT), None)
    assert source.tell() == len(value)
    assert repr(found) == repr(expected)


def test_more_than_64_bits_are_odd() -> None:
    """An integer that no long can hold is fastavro's to read, which cuts it or refuses it."""
    read = make_whole_reader({"type": "record", "name": "One", "fields": [{"name": "at", "type": "long"}]})
    assert read is not None
    assert read(frame_header(7) + b"\xff" * 9 + b"\x01") == {"at": -(2**63)}
    with pytest.raises(ValueError, match="64 bits"):
        read(frame_header(7) + b"\xff" * 9 + b"\x03")
    # Not one byte further, be there a million.
    with pytest.raises(ValueError, match="ten bytes"):
        read(frame_header(7) + b"\xff" * 10)


@pytest.mark.parametrize(
    "length", [b"\xfe" + b"\xff" * 8 + b"\x01", b"\x10", b"\x01"], ids=["greatest", "more", "less"]
)
def test_a_length_that_nothing_fulfils_is_odd(length: bytes) -> None:
    """Of the greatest length there is, more than follow, or less than none: whatever comes behind it."""
    fields = [{"name": "words", "type": "string"}, {"name": "end", "type": "double"}]
    read = make_whole_reader({"type": "record", "name": "Two", "fields": fields})
    assert read is not None
    with pytest.raises(ODD):
        read(frame_header(7) + length + b"\x00" * 7)


def test_a_schema_that_is_not_flat_is_fastavros() -> None:
    """There is no such reader for a record with an array."""
    assert make_whole_reader(MIXED) is None
    mixed = {name: value for name, value in RECORD.items() if name not in {"words", "end"}}
    value = make_writer(MIXED, frame_header(7))(mixed)
    assert make_flat_reader(MIXED)(value) == mixed


def test_what_is_odd_is_read_by_fastavro() -> None:
    """Bytes behind a record, which one that reads by hand refuses, are none of a reader's business."""
    flat = {name: value for name, value in RECORD.items() if name != "nested"}
    value = make_writer(FLAT, frame_header(7))(flat)
    assert make_flat_reader(FLAT)(value + b"more") == flat
    with pytest.raises(EOFError):
        make_flat_reader(FLAT)(value[:-1])


@pytest.mark.parametrize("name", ["after", "nested", "absent"])
def test_what_cannot_be_passed_over_is_told(name: str) -> None:
    """There is no such reader for a field that is no primitive, lies behind one, or does not exist."""
    assert make_field_reader(MIXED, [name]) is None


def parcel(codecs_id: int, schema: AvroRecord = PARCEL, **fields: object) -> bytes:
    """Write a parcel's record."""
    return make_writer(schema, frame_header(codecs_id))({"id": "p-1", "number": 17, "at": 5, **fields})


def record_of(value: bytes) -> Record:
    """Return the record of an event as the log holds it."""
    return Record("golden.events", 0, 9, 0, b"17", value, build_for_event(0, 3, SOURCE, b"parcels"))


def test_an_event_of_another_stream_comes_without_fields() -> None:
    """All but the fields is as if it were decoded in full, order, writer and position too."""
    wire = Wire(CODECS)
    record = record_of(parcel(CODECS.stream_id("parcels"), weight=2.5))
    order, full, *place = wire.decode(record)
    brief = wire.decoder("golden.events", frozenset({"letters"}))(record)
    assert isinstance(full, Event)
    assert full.fields["weight"] == 2.5
    assert brief == (order, replace(full, fields={}), *place)
    assert wire.decoder("golden.events", frozenset({"parcels"}))(record) == (order, full, *place)


def test_what_is_no_event_is_decoded_in_full() -> None:
    """Records of other topics are none of its business."""
    wire = Wire(CODECS)
    _, value, headers = CODECS.to_wire(ITEMS["prediction"], 0)
    record = Record("golden.predictions", 0, 9, 0, b"17", value, headers)
    assert wire.decoder("golden.predictions", frozenset())(record) == wire.decode(record)


def test_an_event_of_an_older_schema_is_decoded_in_full() -> None:
    """Where the fields lie is known of the current schema alone."""
    fields = PARCEL["fields"]
    assert isinstance(fields, list)
    old = PARCEL | {"fields": fields[:-1]}
    codecs = codecs_of(Entry("parcels-value", derived_id(old), old))
    brief = BriefEvents(codecs, ())
    found = brief.decode(parcel(derived_id(old), old), Stamp(0, 3, SOURCE, "parcels"))
    assert isinstance(found, Event)
    assert found.fields == EVENT.fields


def test_a_damaged_event_is_refused_in_words() -> None:
    """Reading in part does not hide that the part is damaged."""
    value = parcel(CODECS.stream_id("parcels"))
    brief = BriefEvents(CODECS, ())
    for end in range(9):
        with pytest.raises(CodecError):
            brief.decode(value[:end], Stamp(0, 3, SOURCE, "parcels"))
