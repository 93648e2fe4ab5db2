"""Items to bytes and back: what is written to a pipeline's topics and how it is read again.

Events travel as the record that `ingest` made of the producer's. Old versions of every schema stay readable: a record
whose id is not the current one is resolved from the schema that wrote it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

import schemas
from riverrun.errors import RiverrunError
from riverrun.records import headers as record_headers
from riverrun.records.avro import (
    AvroRecord,
    content,
    fullname,
    make_resolving_reader,
    make_writer,
)
from riverrun.records.definition import PipelineSchemas, StreamSchema, identity_text
from riverrun.records.fixed_records import FIXED_RECORDS, FixedRecord
from riverrun.records.flat_records import make_flat_reader
from riverrun.records.framing import FRAME_SIZE, frame_header
from riverrun.records.headers import Header, Stamp
from riverrun.records.hot_decoders import decode_example, decode_prediction, make_values_decoder, make_vector_decoder
from riverrun.records.hot_encoders import (
    make_example_encoder,
    make_prediction_encoder,
    make_vector_encoder,
)
from riverrun.records.ids import SchemaIds
from riverrun.records.items import (
    Alert,
    AlertCommand,
    DeadLetter,
    Drift,
    Evaluation,
    Event,
    Example,
    FieldValue,
    ForeignRead,
    Item,
    ModelAlias,
    ModelVersion,
    Prediction,
    Progress,
    Source,
    Vector,
)

__all__ = ["CodecError", "Codecs", "Wire"]

Wire = tuple[bytes | None, bytes, list[Header]]
"""Key, value and headers of a record to be written."""

_NOWHERE = Stamp(0, -1, Source("", 0, -1))

_KEEPERS = (Vector, Prediction)
"""Items that keep what they were encoded to."""

Decoder = Callable[[bytes, Stamp], Item | Progress]


class CodecError(RiverrunError):
    """A record of riverrun's own topics cannot be read, or an item cannot be written."""


class Codecs:
    """Encodes and decodes everything that a pipeline's topics hold.

    Parameters
    ----------
    pipeline
        The pipeline's name, streams and vector.
    ids
        Where schemas get their ids. Every schema of the pipeline is given one here.

    Raises
    ------
    SchemaIdsError, UnavailableError
        If a schema cannot be given an id.
    """

    def __init__(self, pipeline: PipelineSchemas, ids: SchemaIds) -> None:
        self._ids = ids
        self._pipeline = pipeline
        self.streams = pipeline.streams
        self.feature_set = pipeline.vector.version
        self._encoders: dict[type, Callable[[Any], bytes]] = {Event: _event_payload}
        self._decoders: dict[int, Decoder] = {}
        self._event_decoders: dict[tuple[str, int], Decoder] = {}
        self._makers: dict[str, tuple[AvroRecord, Callable[[Callable[[bytes], AvroRecord]], Decoder]]] = {}
        self._hot: dict[str, Decoder] = {}
        self._streams = {stream.name: stream for stream in pipeline.streams}
        self._stream_names = {stream.name: stream.name.encode() for stream in pipeline.streams}
        self._stream_ids = {stream.name: ids.id_of(stream.subject, stream.schema) for stream in pipeline.streams}
        for record in FIXED_RECORDS:
            self._add_fixed(record)
        self._add_vector()

    def _add_fixed(self, record: FixedRecord) -> None:
        schema = schemas.current(record.schema)
        name = fullname(schema)
        frame = frame_header(self._ids.id_of(name, schema))
        if record.item is Prediction:
            self._encoders[Prediction] = make_prediction_encoder(frame)
            self._hot[name] = decode_prediction
        elif record.item is Example:
            self._encoders[Example] = make_example_encoder(frame)
            self._hot[name] = decode_example
        else:
            write, to_fields = make_writer(schema, frame), record.to_fields
            self._encoders[record.item] = lambda item: write(to_fields(item))
        convert = record.from_fields

        def make(read: Callable[[bytes], AvroRecord]) -> Decoder:
            return lambda value, stamp: convert(read(value), value, stamp)

        self._makers[name] = (schema, make)

    def _add_vector(self) -> None:
        vector = self._pipeline.vector
        frame = frame_header(self._ids.id_of(self._pipeline.vector_subject, vector.schema))
        self._encoders[Vector] = make_vector_encoder(frame, vector.types)
        self._hot[fullname(vector.schema)] = make_vector_decoder(vector.types)
        self._values = make_values_decoder(frame, vector.types)
        pick = _picker(vector.names)

        def make(read: Callable[[bytes], AvroRecord]) -> Decoder:
            return lambda value, stamp: _vector(cast("dict[str, Any]", read(value)), value, stamp, pick)

        self._makers[fullname(vector.schema)] = (vector.schema, make)

    def stream_id(self, stream: str) -> int:
        """Return the schema id that a stream's events are written with."""
        return self._stream_ids[stream]

    def encode(self, item: Item | Progress) -> bytes:
        """Return an item's framed record. That of a vector or prediction is kept in its ``payload``.

        Raises
        ------
        CodecError
            If the item does not fit its schema.
        """
        kind = type(item)
        try:
            if isinstance(item, _KEEPERS):
                if not item.payload:
                    item.payload = self._encoders[kind](item)
                return item.payload
            return self._encoders[kind](item)
        except Exception as error:
            raise CodecError(f"cannot encode {item!r:.300}: {error!r}") from error

    def to_wire(self, item: Item | Progress, writer: int) -> Wire:
        """Return key, value and headers of the record to write for an item; ``writer`` is the writing task's partition.

        Raises
        ------
        CodecError
            If the item does not fit its schema.
        """
        if isinstance(item, Event):
            headers = record_headers.build_for_event(writer, item.seq, item.source, self._stream_names[item.stream])
            return item.key.encode(), item.payload, headers
        value = self.encode(item)
        if isinstance(item, Progress):
            return item.stage.encode(), value, []
        return _key(item), value, record_headers.build(writer, item.seq, item.source)

    def decode(self, value: bytes, stamp: Stamp) -> Item | Progress:
        """Return the item that a framed record holds.

        Parameters
        ----------
        value
            The record's value.
        stamp
            What its headers say; for an event it must name the stream.

        Raises
        ------
        CodecError
            If the value cannot be read.
        UnknownSchemaIdError, UnavailableError
            If its schema id is unknown or the registry does not answer.
        """
        schema_id = int.from_bytes(value[1:FRAME_SIZE], "big")
        stream = stamp.stream
        decoder = self._event_decoders.get((stream, schema_id)) if stream else self._decoders.get(schema_id)
        if decoder is None:
            decoder = self._find(value, schema_id, stamp.stream)
        try:
            return decoder(value, stamp)
        except Exception as error:
            raise CodecError(
                f"cannot decode the record made from {stamp.source} with schema id {schema_id}: {error!r}",
                hint="only riverrun may write to its own topics; `riverrun verify` checks them",
            ) from error

    def from_wire(self, value: bytes | None, headers: Sequence[Header]) -> tuple[Item, Stamp]:
        """Return the item and the stamp of a record of any of the pipeline's topics but ``progress``.

        Raises
        ------
        CodecError, HeadersError, UnknownSchemaIdError, UnavailableError
            If it cannot be read.
        """
        stamp = record_headers.parse(headers)
        if value is None:
            raise CodecError(
                f"the record made from {stamp.source} is a tombstone",
                hint="only riverrun may write here",
            )
        return cast("Item", self.decode(value, stamp)), stamp

    def decode_progress(self, value: bytes) -> Progress:
        """Return the commit record that a record of ``progress`` holds; raises as `decode` does."""
        item = self.decode(value, _NOWHERE)
        if not isinstance(item, Progress):
            raise CodecError(f"expected a commit record, found {type(item).__name__}")
        return item

    def decode_vector(self, payload: bytes) -> Vector:
        """Return the vector inside a prediction or example (its ``vector``), without position or source.

        Raises as `decode` does.
        """
        item = self.decode(payload, _NOWHERE)
        if not isinstance(item, Vector):
            raise CodecError(f"expected a vector, found {type(item).__name__}")
        return item

    def decode_values(self, payload: bytes) -> tuple[FieldValue, ...]:
        """Return the features of the vector inside a prediction or example; raises as `decode_vector` does."""
        try:
            return self._values(payload)
        except (LookupError, ValueError, struct.error):
            # Of an older schema, or damaged, and then it is said in words.
            return self.decode_vector(payload).values

    def _find(self, value: bytes, schema_id: int, stream: str) -> Decoder:
        """Make the decoder of a schema id met for the first time: the current schema's, or of an older version."""
        if len(value) < FRAME_SIZE or value[0] != 0:
            raise CodecError(
                f"{value[:8]!r} is not a framed record",
                hint="only riverrun may write to its own topics",
            )
        written = self._ids.schema_of(schema_id)
        if stream:
            definition = self._streams.get(stream)
            if definition is None:
                raise CodecError(
                    f"an event is of stream {stream!r}, which pipeline {self._pipeline.name} does not have",
                    hint="put the stream back, or give the pipeline another name",
                )
            make = _event_maker(definition)
            decoder = make(_reader(written, definition.schema))
            self._event_decoders[(stream, schema_id)] = decoder
            return decoder
        found = self._makers.get(fullname(written))
        if found is None:
            raise CodecError(f"schema id {schema_id} is {fullname(written)}, which is no record of riverrun's")
        current, make = found
        hot = self._hot.get(fullname(written)) if content(written) == content(current) else None
        decoder = self._decoders[schema_id] = make(_reader(written, current)) if hot is None else hot
        return decoder


def _reader(written: AvroRecord, wanted: AvroRecord) -> Callable[[bytes], AvroRecord]:
    if written == wanted:
        return make_flat_reader(wanted)
    return make_resolving_reader(written, wanted, FRAME_SIZE)


def _event_payload(item: Event) -> bytes:
    return item.payload


def _event_maker(
    stream: StreamSchema,
) -> Callable[[Callable[[bytes], AvroRecord]], Decoder]:
    name, id_field, key_field, time_field = (
        stream.name,
        stream.id,
        stream.key,
        stream.time,
    )

    def make(read: Callable[[bytes], AvroRecord]) -> Decoder:
        def decode(value: bytes, stamp: Stamp) -> Event:
            fields = cast("dict[str, Any]", read(value))
            identity, key = (
                identity_text(fields[id_field]),
                identity_text(fields[key_field]),
            )
            if identity is None or key is None:
                raise ValueError(f"an event of {name} has no id or no key")
            return Event(
                name,
                identity,
                key,
                fields[time_field],
                fields,
                value,
                stamp.source,
                stamp.seq,
            )

        return decode

    return make


def _vector(
    fields: dict[str, Any],
    value: bytes,
    stamp: Stamp,
    pick: Callable[[Mapping[str, FieldValue]], tuple[FieldValue, ...]],
) -> Vector:
    reads = fields["reads"]
    return Vector(
        fields["id"],
        fields["key"],
        fields["time"],
        fields["event_seq"],
        pick(fields),
        tuple(_foreign_read(row) for row in reads) if reads else (),
        stamp.source,
        value,
        stamp.seq,
    )


def _foreign_read(row: Mapping[str, Any]) -> ForeignRead:
    return ForeignRead(row["partition"], row["group"], row["entity"], row["position"])


def _picker(
    names: tuple[str, ...],
) -> Callable[[Mapping[str, FieldValue]], tuple[FieldValue, ...]]:
    """Return what takes these fields out of a record, as a tuple whatever their number."""
    if len(names) > 1:
        return cast(
            "Callable[[Mapping[str, FieldValue]], tuple[FieldValue, ...]]",
            itemgetter(*names),
        )
    return lambda fields: tuple(fields[name] for name in names)


def _key(item: Item) -> bytes | None:
    if isinstance(item, (Vector, Prediction, Example)):
        return item.key.encode()
    if isinstance(item, DeadLetter):
        return item.key
    if isinstance(item, ModelVersion):
        return b"version/" + item.model.encode()
    if isinstance(item, ModelAlias):
        return b"alias/" + item.alias.encode()
    if isinstance(item, Evaluation):
        return item.model.encode()
    if isinstance(item, Drift):
        return f"{item.kind}/{item.subject}/{item.segment}".encode()
    if isinstance(item, Alert):
        return item.incident.encode()
    if isinstance(item, AlertCommand):
        return item.id.encode()
    raise CodecError(f"{type(item).__name__} is not written by itself")
