"""The fields of a stream's events: strict values from JSON, checks, and the canonical Avro encoding in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from struct import Struct
from typing import Any, Final, NamedTuple, cast

from riverrun.errors import RiverrunError
from riverrun.events.reasons import Reason, RefusedError
from riverrun.records.avro_binary import double_bytes, long_bytes, sized, text
from riverrun.records.items import FieldValue

__all__ = ["EventFields", "FieldSpec"]

_DOUBLE: Final = 0
_TEXT: Final = 1
_LONG: Final = 2
_INT: Final = 3
_BOOLEAN: Final = 4
_ENUM: Final = 5
_FLOAT: Final = 6
_BYTES: Final = 7
_CODES: Final = {
    "double": _DOUBLE,
    "string": _TEXT,
    "long": _LONG,
    "int": _INT,
    "boolean": _BOOLEAN,
    "float": _FLOAT,
    "bytes": _BYTES,
}

_INT32: Final = 1 << 31
_INT64: Final = 1 << 63
_FLOAT32: Final = Struct("<f")


class FieldSpec(NamedTuple):
    """One field: its type, and the bytes that a union puts before its value.

    ``null`` is the encoding of null, or None if the field is not nullable; ``symbols`` the encodings of an enum's
    symbols; ``default`` counts only if ``has_default``.
    """

    name: str
    code: int
    avro: str
    null: bytes | None
    prefix: bytes
    symbols: Mapping[str, bytes]
    has_default: bool
    default: FieldValue


class EventFields:
    """The fields of one stream, compiled from its flat schema.

    Parameters
    ----------
    schema
        The stream's record schema. `riverrun.pipeline` has checked that it is flat.
    max_text
        Longest string or bytes value, in characters or bytes.

    Raises
    ------
    RiverrunError
        If a field is of a type that an event cannot have.
    """

    __slots__ = ("_max_text", "specs")

    def __init__(self, schema: Mapping[str, object], max_text: int) -> None:
        self._max_text = max_text
        enums: dict[str, Mapping[str, object]] = {}
        rows = cast("Sequence[Mapping[str, object]]", schema["fields"])
        self.specs: tuple[FieldSpec, ...] = tuple(_spec(row, enums) for row in rows)

    def encode(self, frame: bytes, fields: Mapping[str, FieldValue]) -> bytes:
        """Check every value's range and return the framed canonical record.

        Parameters
        ----------
        frame
            What to put before the record.
        fields
            A value of the right Python type for every field.

        Raises
        ------
        RefusedError
            If a number is not finite or a value out of range.
        """
        parts = [frame]
        add = parts.append
        limit = self._max_text
        for name, code, _, null, prefix, symbols, _, _ in self.specs:
            # Of the type that the code says; to tell mypy so by a cast would be a call a field.
            value: Any = fields[name]
            if value is None:
                add(_null(name, null))
            elif code == _DOUBLE:
                if not isfinite(value):
                    raise RefusedError(Reason.NOT_FINITE, f"field {name!r} is {value}")
                add(prefix + double_bytes(value))
            elif code == _TEXT:
                if len(value) > limit:
                    raise _too_long(name, len(value), limit)
                add(prefix + text(value))
            elif code == _LONG:
                add(prefix + long_bytes(value))
            elif code == _ENUM:
                add(prefix + symbols[value])
            else:
                add(prefix + self._encode_rare(name, code, value))
        return b"".join(parts)

    def _encode_rare(self, name: str, code: int, value: FieldValue) -> bytes:
        if code == _INT:
            integer = cast("int", value)
            if not -_INT32 <= integer < _INT32:
                raise RefusedError(Reason.OUT_OF_RANGE, f"field {name!r} is {integer}, an int has 32 bits")
            return long_bytes(integer)
        if code == _BOOLEAN:
            return b"\x01" if value else b"\x00"
        if code == _FLOAT:
            number = cast("float", value)
            if not isfinite(number):
                raise RefusedError(Reason.NOT_FINITE, f"field {name!r} is {number}")
            return _FLOAT32.pack(number)
        blob = cast("bytes", value)
        if len(blob) > self._max_text:
            raise _too_long(name, len(blob), self._max_text)
        return sized(blob)

    def from_json(self, given: Mapping[str, object]) -> dict[str, FieldValue]:
        """Return typed values for every field from a parsed JSON object; unknown members are dropped.

        A JSON integer is taken for a float or double if that loses nothing; else nothing is converted. Bytes are
        strings of the characters U+0000 to U+00FF, as in Avro's own JSON encoding.

        Raises
        ------
        RefusedError
            If a field is missing, of the wrong type or out of range.
        """
        fields: dict[str, FieldValue] = {}
        for spec in self.specs:
            name = spec.name
            if name in given:
                fields[name] = _from_json(spec, given[name])
            elif spec.has_default:
                fields[name] = spec.default
            else:
                raise RefusedError(
                    Reason.MISSING_FIELD, f"field {name!r} is missing and the schema gives it no default"
                )
        return fields


def _null(name: str, null: bytes | None) -> bytes:
    if null is None:
        raise RefusedError(Reason.WRONG_TYPE, f"field {name!r} is null, which the schema does not allow")
    return null


def _too_long(name: str, length: int, limit: int) -> RefusedError:
    return RefusedError(Reason.OUT_OF_RANGE, f"field {name!r} is {length} long, at most {limit} is allowed")


def _wrong_type(spec: FieldSpec, value: object) -> RefusedError:
    wanted = f"{spec.avro} or null" if spec.null is not None else spec.avro
    return RefusedError(Reason.WRONG_TYPE, f"field {spec.name!r} must be {wanted}, not {_in_json(value)} {value!r:.80}")


def _in_json(value: object) -> str:
    """Return JSON's name of a parsed value's type."""
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
    ):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "object"


def _from_json(spec: FieldSpec, value: object) -> FieldValue:
    code = spec.code
    if value is None:
        if spec.null is None:
            raise _wrong_type(spec, value)
        return None
    if code in (_DOUBLE, _FLOAT):
        return _number(spec, value)
    if code in (_LONG, _INT):
        return _integer(spec, value)
    if code == _BOOLEAN:
        if type(value) is not bool:
            raise _wrong_type(spec, value)
        return value
    if type(value) is not str:
        raise _wrong_type(spec, value)
    if code == _ENUM and value not in spec.symbols:
        symbols = ", ".join(spec.symbols)
        raise RefusedError(Reason.OUT_OF_RANGE, f"field {spec.name!r} is {value!r:.80}, not one of {symbols}")
    return _latin(spec, value) if code == _BYTES else value


def _integer(spec: FieldSpec, value: object) -> int:
    if type(value) is not int:
        raise _wrong_type(spec, value)
    if not -_INT64 <= value < _INT64:
        raise RefusedError(Reason.OUT_OF_RANGE, f"field {spec.name!r} is {value}, a long has 64 bits")
    return value


def _number(spec: FieldSpec, value: object) -> float:
    if type(value) is int:
        number = float(value)
        if int(number) != value:
            raise RefusedError(Reason.OUT_OF_RANGE, f"field {spec.name!r} is {value}, which no {spec.avro} can express")
    elif type(value) is float:
        number = value
    else:
        raise _wrong_type(spec, value)
    if spec.code == _FLOAT and isfinite(number):
        try:
            # What is folded now must be what a later reader decodes: the value at the precision of the wire.
            return cast("float", _FLOAT32.unpack(_FLOAT32.pack(number))[0])
        except OverflowError:
            raise RefusedError(Reason.OUT_OF_RANGE, f"field {spec.name!r} is {number}, too large for a float") from None
    return number


def _latin(spec: FieldSpec, value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise RefusedError(
            Reason.WRONG_TYPE,
            f"field {spec.name!r} is bytes: a string of characters up to U+00FF, not {value!r:.80}",
        ) from None


def _spec(row: Mapping[str, object], enums: dict[str, Mapping[str, object]]) -> FieldSpec:
    name, node = str(row["name"]), row["type"]
    null: bytes | None = None
    prefix = b""
    if isinstance(node, list):
        branches = [index for index, branch in enumerate(node) if branch != "null"]
        if len(branches) != 1 or len(node) > 2:
            raise RiverrunError(f"field {name!r} is a union that an event cannot have: {node!r:.100}")
        null = long_bytes(node.index("null")) if len(node) == 2 else None
        prefix, node = long_bytes(branches[0]), node[branches[0]]
    while isinstance(node, dict) and node.get("type") != "enum":
        node = node.get("type")
    has_default = "default" in row
    default = cast("FieldValue", row.get("default"))
    enum = node if isinstance(node, dict) else enums.get(str(node))
    if enum is not None:
        return FieldSpec(name, _ENUM, "enum", null, prefix, _symbols(enum, enums), has_default, default)
    code = _CODES.get(str(node))
    if code is None:
        raise RiverrunError(f"field {name!r} is of a type that an event cannot have: {node!r:.100}")
    spec = FieldSpec(name, code, str(node), null, prefix, {}, has_default, None)
    if has_default:
        # Avro writes defaults in JSON, so they are read by the same rules; a double's may be written as an integer.
        spec = spec._replace(default=_from_json(spec, default))
    return spec


def _symbols(enum: Mapping[str, object], enums: dict[str, Mapping[str, object]]) -> dict[str, bytes]:
    name, namespace = str(enum["name"]), enum.get("namespace")
    enums[name] = enum
    enums[name.rpartition(".")[2]] = enum
    if namespace:
        enums[f"{namespace}.{name}"] = enum
    return {str(symbol): long_bytes(index) for index, symbol in enumerate(cast("Sequence[object]", enum["symbols"]))}
