"""What a producer's message says, decoded without any of the code that `ingest` decodes it with."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from riverrun.audit.subject import Subject
from riverrun.errors import RiverrunError
from riverrun.pipeline import Pipeline, Stream, compile_expression, describe
from riverrun.records.avro import AvroRecord, make_reader, make_resolving_reader
from riverrun.records.definition import identity_text
from riverrun.records.framing import FRAME_SIZE
from riverrun.records.items import FieldValue

__all__ = ["Message", "MessageReader", "UnreadableError"]

_FLOAT: Final = struct.Struct("<f")

Read = Callable[[bytes], AvroRecord]


class UnreadableError(Exception):
    """A message is no event of its stream."""


class Message(NamedTuple):
    """A message's fields, and the id and event time among them."""

    id: str | None
    time: int
    fields: Mapping[str, FieldValue]


class MessageReader:
    """Decodes one stream's messages, and the events made of them.

    Parameters
    ----------
    subject
        The pipeline, and where schemas are found by id.
    stream
        The stream.
    """

    def __init__(self, subject: Subject, stream: Stream) -> None:
        self.stream = stream
        self.rules = _rules(subject.pipeline, stream)
        self._schema_of = subject.schema_of
        self._own = dict(stream.schema.avro)
        self._readers: dict[bytes, Read] = {}
        self._specs = cast("list[dict[str, Any]]", self._own["fields"])

    def message(self, value: bytes | None) -> Message:
        """Return what a message says.

        Raises
        ------
        UnreadableError
            If it cannot be decoded or lacks something.
        """
        if not value:
            raise UnreadableError("it has no value")
        try:
            is_avro = self.stream.format == "avro" or (self.stream.format == "auto" and value[0] == 0)
            return self._message(self._avro(value) if is_avro else self._json(value))
        except (RiverrunError, ValueError, LookupError, TypeError, EOFError, OverflowError, struct.error) as error:
            raise UnreadableError(f"{type(error).__name__}: {error}") from error

    def _message(self, fields: Mapping[str, FieldValue]) -> Message:
        identity, time = identity_text(fields[self.stream.id_field]), fields[self.stream.time_field]
        if not isinstance(time, int):
            raise ValueError(f"its time is {time!r}")
        return Message(identity, time, fields)

    def _avro(self, value: bytes) -> Mapping[str, FieldValue]:
        frame = value[:FRAME_SIZE]
        read = self._readers.get(frame)
        if read is None:
            if len(frame) < FRAME_SIZE:
                raise ValueError("it is shorter than a frame")
            written = self._schema_of(int.from_bytes(frame[1:], "big"))
            same = written == self._own
            read = make_reader(written, FRAME_SIZE) if same else make_resolving_reader(written, self._own, FRAME_SIZE)
            self._readers[frame] = read
        return cast("Mapping[str, FieldValue]", read(value))

    def _json(self, value: bytes) -> Mapping[str, FieldValue]:
        given = json.loads(value)
        return {spec["name"]: _from_json(spec, given) for spec in self._specs}


def _rules(pipeline: Pipeline, stream: Stream) -> tuple[tuple[str, Callable[[Mapping[str, FieldValue]], Any]], ...]:
    return tuple((describe(rule), compile_expression(rule)) for rule in pipeline.rules_for(stream))


def _from_json(spec: Mapping[str, Any], given: Mapping[str, Any]) -> FieldValue:
    """Return the value that a JSON object gives a field; a whole number may stand for a floating one."""
    name = spec["name"]
    value = given[name] if name in given or "default" not in spec else spec["default"]
    if value is None:
        return None
    avro = spec["type"]
    if isinstance(avro, list):
        avro = next(branch for branch in avro if branch != "null")
    if isinstance(avro, dict):
        avro = avro["type"]
    if avro == "double":
        return float(value)
    if avro == "float":
        return cast("float", _FLOAT.unpack(_FLOAT.pack(value))[0])
    if avro == "bytes":
        return cast("str", value).encode("latin-1")
    return cast("FieldValue", value)
