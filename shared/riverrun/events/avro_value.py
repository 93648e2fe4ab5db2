"""Strangers' Avro to fields: which schema wrote it, whether it is whole, whether an encoder could have written it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from typing import Final, NamedTuple, cast

from fastavro import schemaless_reader

from riverrun.errors import UnavailableError
from riverrun.events.fields import EventFields
from riverrun.events.reasons import Reason, RefusedError
from riverrun.records.avro import AvroRecord, fullname, make_resolving_reader, make_writer, parsed
from riverrun.records.compatibility import read_faults
from riverrun.records.definition import StreamSchema
from riverrun.records.flat_records import ODD, make_whole_reader
from riverrun.records.framing import FRAME_SIZE, frame_header
from riverrun.records.ids import SchemaIds, SchemaIdsError
from riverrun.records.items import FieldValue
from riverrun.records.lint import lint

__all__ = ["AvroValues"]

_REMEMBERED: Final = 1_024
"""Most foreign schema ids remembered: strangers may send any."""

_MAX_ID: Final = 2**31 - 1

ReadForeign = Callable[[bytes], dict[str, FieldValue]]


class _Refusal(NamedTuple):
    """Why a schema is refused, to be told again for the next message that names it."""

    reason: Reason
    detail: str


class AvroValues:
    """Decodes a stream's framed Avro messages.

    Parameters
    ----------
    stream
        The stream's schema.
    fields
        Its compiled fields.
    ids
        Where other versions' schemas are found by id.
    check_canonical
        Whether a record must equal what an encoder makes of its values.
    """

    def __init__(self, stream: StreamSchema, fields: EventFields, ids: SchemaIds, *, check_canonical: bool) -> None:
        self._stream = stream
        self._fields = fields
        self._ids = ids
        self._check_canonical = check_canonical
        self._schema = parsed(stream.schema)
        self._whole = make_whole_reader(stream.schema)
        self._frame = frame_header(ids.id_of(stream.subject, stream.schema))
        self._foreign: OrderedDict[int, ReadForeign | _Refusal] = OrderedDict()

    @property
    def frame(self) -> bytes:
        """The frame that the stream's own schema id gives."""
        return self._frame

    def decode(self, value: bytes) -> tuple[dict[str, FieldValue], bytes]:
        """Return the fields, and the framed canonical record in the stream's own schema.

        Raises
        ------
        RefusedError
            If the message is not acceptable.
        UnavailableError
            If its schema id is new and the registry does not answer: nobody can tell yet.
        """
        if len(value) < FRAME_SIZE:
            raise RefusedError(Reason.TRUNCATED, f"{len(value)} bytes are fewer than a frame's {FRAME_SIZE}")
        if not value.startswith(self._frame):
            foreign = self._read_foreign(value)
            return foreign, self._fields.encode(self._frame, foreign)
        fields = self._read_own(value)
        canonical = self._fields.encode(self._frame, fields)
        if self._check_canonical and canonical != value:
            raise _not_canonical(value, canonical)
        return fields, canonical

    def _read_own(self, value: bytes) -> dict[str, FieldValue]:
        if self._whole is not None:
            try:
                return self._whole(value)
            except ODD:
                # What is odd with it, or that it is none of ours to refuse, fastavro tells.
                pass
        return cast("dict[str, FieldValue]", _read(value, self._schema))

    def _read_foreign(self, value: bytes) -> dict[str, FieldValue]:
        schema_id = int.from_bytes(value[1:FRAME_SIZE], "big")
        reader = self._foreign.get(schema_id)
        if reader is None:
            try:
                reader = self._open_foreign(schema_id)
            except RefusedError as refused:
                # Not the exception: it holds the frames that it came through, and with them whole batches of records.
                reader = _Refusal(refused.reason, refused.detail)
            self._foreign[schema_id] = reader
            if len(self._foreign) > _REMEMBERED:
                self._foreign.popitem(last=False)
        if isinstance(reader, _Refusal):
            raise RefusedError(reader.reason, reader.detail)
        return reader(value)

    def _open_foreign(self, schema_id: int) -> ReadForeign:
        """Make the decoder of a schema that is not the stream's current one."""
        own = fullname(self._stream.schema)
        known = int.from_bytes(self._frame[1:], "big")
        if schema_id > _MAX_ID:
            raise RefusedError(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id} is larger than any; {own} is {known}")
        try:
            written = self._ids.schema_of(schema_id)
        except UnavailableError:
            raise
        except SchemaIdsError as error:
            raise RefusedError(Reason.UNKNOWN_SCHEMA, f"{error.message}; {own} is {known}") from None
        if "name" not in written or fullname(written) != own:
            raise RefusedError(
                Reason.WRONG_SCHEMA,
                f"schema id {schema_id} is {written.get('name')}, this topic's events are {own}",
            )
        dangers = lint(written)
        if dangers:
            raise RefusedError(Reason.WRONG_SCHEMA, f"schema id {schema_id} is not safe to decode with: {dangers[0]}")
        faults = read_faults(written, self._stream.schema)
        if faults:
            raise RefusedError(
                Reason.WRONG_SCHEMA,
                f"schema id {schema_id} cannot be read as the stream's version {known}: {faults[0]}",
            )
        return self._make_foreign(written, value_frame=frame_header(schema_id))

    def _make_foreign(self, written: AvroRecord, value_frame: bytes) -> ReadForeign:
        schema = parsed(written)
        write = make_writer(written, value_frame)
        resolve = make_resolving_reader(written, self._stream.schema, FRAME_SIZE)
        check = self._check_canonical

        def read(value: bytes) -> dict[str, FieldValue]:
            as_written = _read(value, schema)
            if check:
                canonical = write(as_written)
                if canonical != value:
                    raise _not_canonical(value, canonical)
            return cast("dict[str, FieldValue]", resolve(value))

        return read


def _read(value: bytes, schema: AvroRecord) -> AvroRecord:
    source = BytesIO(value)
    source.seek(FRAME_SIZE)
    try:
        record = schemaless_reader(source, schema, None)
    except EOFError as error:
        # It says where it read from, too: an address in this process's memory, which helps nobody.
        what = str(error).partition(" from <")[0] or "a number is cut"
        raise RefusedError(Reason.TRUNCATED, f"the record ends in the middle of a field; {what}") from None
    except Exception as error:
        raise RefusedError(Reason.UNDECODABLE, f"the bytes do not decode: {type(error).__name__}: {error}") from error
    end = source.tell()
    if end != len(value):
        raise RefusedError(Reason.TRAILING_BYTES, f"{len(value) - end} bytes follow the record's end at byte {end}")
    return cast("AvroRecord", record)


def _not_canonical(value: bytes, canonical: bytes) -> RefusedError:
    shared = next(
        (at for at, (one, other) in enumerate(zip(value, canonical, strict=False)) if one != other),
        min(len(value), len(canonical)),
    )
    return RefusedError(
        Reason.NOT_CANONICAL,
        f"the record decodes, but its values encode to other bytes from byte {shared} on: "
        f"{value[shared : shared + 8].hex()} instead of {canonical[shared : shared + 8].hex()}",
    )
