"""Every item survives its wire format, and the encoders made by hand write what fastavro writes."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from struct import pack
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from riverrun.records import avro_binary
from riverrun.records.avro import AvroRecord, make_writer
from riverrun.records.codecs import CodecError
from riverrun.records.framing import FRAME_SIZE, FramingError, frame, frame_header, unframe
from riverrun.records.headers import HeadersError, Stamp, build, build_for_event, parse
from riverrun.records.ids import Entry, UnknownSchemaIdError, derived_id
from riverrun.records.items import (
    DeadLetter,
    Evaluation,
    Event,
    Example,
    ForeignRead,
    InputPosition,
    Item,
    ModelAlias,
    ModelScore,
    ModelVersion,
    Prediction,
    Progress,
    Source,
    Vector,
)
from tests.records.made import EVENT, ITEMS, PARCEL, SCHEMAS, VECTOR, WRITER, codecs_of

CODECS = codecs_of()

ints = st.integers(-(2**31), 2**31 - 1)
longs = st.integers(-(2**63), 2**63 - 1)
naturals = st.integers(0, 2**62)
doubles = st.floats(allow_nan=False)
words = st.text(max_size=20)
blobs = st.binary(max_size=50)
names = st.text("abcdefghij.-_", min_size=1, max_size=20)
sources = st.builds(Source, names, st.integers(0, 1_000), naturals)
scores = st.lists(st.builds(ModelScore, words, longs, doubles), max_size=4).map(tuple)
measures = st.dictionaries(words, doubles, max_size=4)
counts = st.dictionaries(words, longs, max_size=4)
values = st.tuples(
    st.none() | longs, st.none() | doubles, st.none() | words, st.none() | st.booleans(), st.none() | blobs
)
reads = st.lists(st.builds(ForeignRead, ints, words, words, longs), max_size=3).map(tuple)
headers = st.lists(st.tuples(words, st.none() | blobs), max_size=4).map(tuple)
inputs = st.lists(st.builds(InputPosition, words, ints, ints, longs, longs), max_size=3).map(tuple)

vectors = st.builds(Vector, words, words, longs, longs, values, reads, sources, st.just(b""), naturals)
predictions = st.builds(Prediction, words, words, longs, longs, scores, blobs, sources, st.just(b""), naturals)
examples = st.builds(
    Example,
    words,
    words,
    longs,
    st.sampled_from(["labelled", "defaulted", "expired", "revised"]),
    st.none() | doubles,
    longs,
    scores,
    blobs,
    sources,
    naturals,
    st.just(WRITER),
)
items = st.one_of(
    vectors,
    predictions,
    examples,
    st.builds(DeadLetter, words, words, sources, longs, st.none() | blobs, st.none() | blobs, headers, naturals),
    st.builds(Evaluation, words, longs, longs, longs, measures, measures, sources, naturals),
    st.builds(ModelAlias, words, words, words, words, sources, naturals),
    st.builds(
        ModelVersion,
        words,
        longs,
        longs,
        longs,
        words,
        words,
        words,
        words,
        words,
        st.dictionaries(words, words, max_size=3),
        longs,
        measures,
        sources,
        naturals,
    ),
)
progresses = st.builds(Progress, words, ints, inputs, counts, counts, longs, measures, words)


def plain(schema: AvroRecord) -> AvroRecord:
    """Return the schema without logical types, whose values fastavro would want as dates."""
    return {
        name: plain(value)
        if isinstance(value, dict)
        else [plain(each) if isinstance(each, dict) else each for each in value]
        if isinstance(value, list)
        else value
        for name, value in schema.items()
        if name != "logicalType"
    }


def by_fastavro(schema: AvroRecord, fields: dict[str, Any]) -> bytes:
    """Encode a record with fastavro itself."""
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain(schema)), fields)
    return out.getvalue()


def rows(item_scores: tuple[ModelScore, ...]) -> list[dict[str, Any]]:
    """Return scores as rows."""
    return [each._asdict() for each in item_scores]


@given(items)
def test_every_item_survives_the_wire(item: Item) -> None:
    """What is read equals what was written; of a vector or prediction the framed record is kept too."""
    key, value, wire_headers = CODECS.to_wire(item, WRITER)
    read, stamp = CODECS.from_wire(value, wire_headers)
    expected = replace(item, payload=value) if isinstance(item, Vector | Prediction) else item
    assert read == expected
    assert stamp == Stamp(WRITER, item.seq, item.source)
    if isinstance(item, Vector | Prediction | Example):
        assert key == item.key.encode()


@given(progresses)
def test_commit_records_survive_the_wire(progress: Progress) -> None:
    """A commit record is keyed by its stage, has no headers, and comes back equal."""
    key, value, wire_headers = CODECS.to_wire(progress, WRITER)
    assert (key, wire_headers) == (progress.stage.encode(), [])
    assert CODECS.decode_progress(value) == progress


@given(predictions)
def test_predictions_are_encoded_as_by_fastavro(item: Prediction) -> None:
    """The encoder by hand writes fastavro's bytes."""
    fields = {
        "id": item.id,
        "key": item.key,
        "time": item.time,
        "event_seq": item.event_seq,
        "scores": rows(item.scores),
        "vector": item.vector,
    }
    assert CODECS.encode(item)[FRAME_SIZE:] == by_fastavro(schemas.current("prediction"), fields)


@given(examples)
def test_examples_are_encoded_as_by_fastavro(item: Example) -> None:
    """The encoder by hand writes fastavro's bytes."""
    fields = {
        "id": item.id,
        "key": item.key,
        "time": item.time,
        "outcome": item.outcome,
        "label": item.label,
        "label_time": item.label_time,
        "scores": rows(item.scores),
        "vector": item.vector,
    }
    assert CODECS.encode(item)[FRAME_SIZE:] == by_fastavro(schemas.current("example"), fields)


@given(vectors)
def test_vectors_are_encoded_as_by_fastavro(item: Vector) -> None:
    """The encoder by hand writes fastavro's bytes."""
    vector = SCHEMAS.vector
    fields = {
        "id": item.id,
        "key": item.key,
        "time": item.time,
        "event_seq": item.event_seq,
        "reads": [each._asdict() for each in item.reads],
        **dict(zip(vector.names, item.values, strict=True)),
    }
    assert CODECS.encode(item)[FRAME_SIZE:] == by_fastavro(vector.schema, fields)
    assert CODECS.decode_vector(CODECS.encode(item)).values == item.values


@given(longs | st.integers(-20_000, 20_000), doubles, words, st.binary(max_size=9_000))
def test_primitives_are_encoded_as_by_fastavro(number: int, real: float, word: str, blob: bytes) -> None:
    """Integers of every size, doubles, texts and bytes, each alone."""
    assert avro_binary.long_bytes(number) == _primitive("long", number)
    assert avro_binary.double_bytes(real) == _primitive("double", real) == pack("<d", real)
    assert avro_binary.text(word) == _primitive("string", word)
    assert avro_binary.sized(blob) == _primitive("bytes", blob)


def _primitive(kind: str, value: object) -> bytes:
    return by_fastavro({"type": "record", "name": "R", "fields": [{"name": "v", "type": kind}]}, {"v": value})


def test_integers_at_every_length_of_their_encoding() -> None:
    """Around each power of two, where the encoding grows by a byte, both signs are fastavro's."""
    for edge in (2**bits + step for bits in range(1, 63) for step in (-1, 0, 1)):
        assert avro_binary.long_bytes(edge) == _primitive("long", edge)
        assert avro_binary.long_bytes(-edge) == _primitive("long", -edge)


@pytest.mark.parametrize(
    "wrong",
    [
        (1.5, 1.0, "a", True, b""),
        (1, "1", "a", True, b""),
        (1, 1.0, b"a", True, b""),
        (1, 1.0, "a", 1, b""),
        (1, 1.0, "a", True, "a"),
        (1, 1.0, "a", True),
    ],
    ids=["long", "double", "string", "boolean", "bytes", "too few"],
)
def test_a_feature_of_another_type_is_not_written(wrong: tuple[Any, ...]) -> None:
    """A value that does not fit its feature's type is refused rather than written as something else."""
    with pytest.raises(CodecError, match="cannot encode"):
        CODECS.encode(replace(VECTOR, values=wrong, payload=b""))


def test_a_payload_that_is_known_is_not_made_again() -> None:
    """A vector that was encoded once is written with the same bytes: what was served is what is logged."""
    assert CODECS.encode(replace(VECTOR, payload=b"as served")) == b"as served"


def test_an_event_travels_as_its_producers_record() -> None:
    """An event's value is its payload, its key the event's, and its headers name source and stream."""
    value = make_writer(PARCEL, frame_header(CODECS.stream_id("parcels")))(dict(EVENT.fields))
    event = replace(EVENT, payload=value, seq=3)
    key, written, wire_headers = CODECS.to_wire(event, WRITER)
    assert (key, written) == (b"17", value)
    assert CODECS.from_wire(written, wire_headers) == (event, Stamp(WRITER, 3, event.source, "parcels"))


def test_events_of_an_older_schema_stay_readable() -> None:
    """An event that was written before its stream got a field is read with that field's default."""
    fields = PARCEL["fields"]
    assert isinstance(fields, list)
    old = PARCEL | {"fields": fields[:-1]}
    codecs = codecs_of(Entry("parcels-value", derived_id(old), old))
    value = make_writer(old, frame_header(derived_id(old)))({"id": "p-1", "number": 17, "at": 5})
    read, _ = codecs.from_wire(value, build_for_event(0, 1, EVENT.source, b"parcels"))
    assert isinstance(read, Event)
    assert (read.fields, read.payload) == (EVENT.fields, value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "tombstone"),
        (b"{}", "not a framed record"),
        (b"", "not a framed record"),
        (frame_header(2), "cannot decode"),
        (frame_header(2) + b"\x80\x80\x80\x80\x80\x40", "cannot decode"),
    ],
)
def test_what_riverrun_did_not_write_is_refused(value: bytes | None, words: str) -> None:
    """Foreign bytes in riverrun's own topics raise an error that says where they came from."""
    with pytest.raises(CodecError, match=words):
        CODECS.from_wire(value, build(0, 1, Source("golden.vectors", 0, 7)))


def test_other_records_and_unknown_ids_are_told() -> None:
    """An id that nobody gave, a record of no type of riverrun's, a stream that is gone, the wrong kind of record."""
    with pytest.raises(UnknownSchemaIdError, match="4711"):
        CODECS.from_wire(frame(4_711, b""), build(0, 1, VECTOR.source))
    strange: AvroRecord = {"type": "record", "name": "Strange", "fields": []}
    codecs = codecs_of(Entry("strange", derived_id(strange), strange))
    with pytest.raises(CodecError, match="Strange, which is no record of riverrun's"):
        codecs.from_wire(frame(derived_id(strange), b""), build(0, 1, VECTOR.source))
    with pytest.raises(CodecError, match="'letters', which pipeline golden does not have"):
        CODECS.from_wire(frame(CODECS.stream_id("parcels"), b""), build_for_event(0, 1, VECTOR.source, b"letters"))
    vector = CODECS.encode(replace(VECTOR))
    with pytest.raises(CodecError, match="expected a commit record, found Vector"):
        CODECS.decode_progress(vector)
    prediction = ITEMS["prediction"]
    with pytest.raises(CodecError, match="expected a vector, found Prediction"):
        CODECS.decode_vector(CODECS.encode(prediction))


@given(st.integers(0, 2**31), naturals, sources, words)
def test_headers_say_what_was_put_into_them(writer: int, seq: int, source: Source, stream: str) -> None:
    """Headers are read back, whatever others stand around them; of two of one name the first counts."""
    assert parse(build(writer, seq, source)) == Stamp(writer, seq, source)
    own = build_for_event(writer, seq, source, stream.encode())
    others: list[tuple[str, bytes | None]] = [("trace", b"x"), ("riverrun-seq", b"9:9"), ("riverrun-source", None)]
    assert parse([others[0], *own, *others]) == Stamp(writer, seq, source, stream)


@pytest.mark.parametrize(
    ("seq", "source"),
    [
        (None, b"a/0/1"),
        (b"0:1", None),
        (b"0", b"a/0/1"),
        (b"x:1", b"a/0/1"),
        (b"0:1", b"a/0"),
        (b"0:1", b"a/0/x"),
        (b"0:1", b"\xff/0/1"),
    ],
)
def test_headers_that_are_not_riverruns_are_refused(seq: bytes | None, source: bytes | None) -> None:
    """A missing or malformed header means that another program wrote the record, and the error says so."""
    with pytest.raises(HeadersError, match="only riverrun may write"):
        parse([("riverrun-seq", seq), ("riverrun-source", source)])


@given(st.integers(0, 2**32 - 1), blobs)
def test_frames_are_taken_off_again(schema_id: int, body: bytes) -> None:
    """A frame is five bytes: zero, and the id in big endian."""
    framed = frame(schema_id, body)
    assert framed == b"\x00" + schema_id.to_bytes(4, "big") + body
    assert unframe(framed) == (schema_id, body)


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    """Fewer than five bytes, or another first byte than zero, are no frame."""
    with pytest.raises(FramingError):
        unframe(data)
