"""Event schemas: Avro records of plain fields, read without trusting them.

Events are flat: each field is a boolean, int, long, float, double, string, bytes or an enum, or an optional
one of these (a union with null). All else is reported, and so is what makes a decoder dangerous: recursion,
arrays of items that take no bytes, decimals in bytes, deep nesting.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["MAX_DEPTH", "EventSchema", "FieldType", "Kind", "SchemaFault", "read_schema"]

MAX_DEPTH: Final = 32
"""How deep a schema may nest before it is not looked at any further."""


class Kind(enum.Enum):
    """What kind of value a field or an expression has, missing ones aside."""

    BOOL = "boolean"
    INT = "integer"
    FLOAT = "number"
    TEXT = "text"
    BYTES = "bytes"


class FieldType(NamedTuple):
    """The type of an event's field: its kind, whether it may be missing, and how Avro calls it."""

    kind: Kind
    nullable: bool
    avro: str
    logical: str | None = None


class SchemaFault(NamedTuple):
    """Something that is wrong with a schema: a code for machines and a sentence for people."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class EventSchema:
    """An event schema, as far as it could be read.

    Attributes
    ----------
    avro : dict
        The schema as it was given; empty if it could not be read at all.
    fields : dict of str to FieldType
        The fields that riverrun can use, in the schema's order.
    faults : tuple of SchemaFault
        What is wrong with it.
    source : Path or None
        The file that it came from.
    """

    avro: Mapping[str, object]
    fields: Mapping[str, FieldType]
    faults: tuple[SchemaFault, ...]
    source: Path | None = None


_KINDS: Final = {
    "boolean": Kind.BOOL,
    "int": Kind.INT,
    "long": Kind.INT,
    "float": Kind.FLOAT,
    "double": Kind.FLOAT,
    "string": Kind.TEXT,
    "bytes": Kind.BYTES,
}
_NESTED: Final = frozenset({"record", "error", "array", "map", "fixed"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FLAT: Final = "an event's field is a boolean, int, long, float, double, string, bytes, enum, or null and one of these"


def read_schema(schema: Path | str | Mapping[str, object], folder: Path) -> EventSchema:
    """Read a schema from a file, a JSON text or a dict; never raises, but tells what is wrong.

    Parameters
    ----------
    schema : Path, str or mapping
        A path (relative ones are taken from ``folder``), a text that starts with ``{``, or the parsed schema.
    folder : Path
        Where relative paths start: the folder of the pipeline file.
    """
    source: Path | None = None
    if isinstance(schema, str) and schema.lstrip().startswith("{"):
        text = schema
    elif isinstance(schema, str | Path):
        source = folder / schema
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            return _unreadable(f"the schema {source} cannot be read: {error}", source)
    else:
        return _read_record(schema, source)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _unreadable(f"the schema {source or ''} is not JSON: {error}", source)
    if not isinstance(parsed, dict):
        return _unreadable(f"the schema {source or ''} is not an Avro record", source)
    return _read_record(parsed, source)


def _unreadable(message: str, source: Path | None) -> EventSchema:
    return EventSchema({}, {}, (SchemaFault("schema-unreadable", " ".join(message.split())),), source)


def _read_record(avro: Mapping[str, object], source: Path | None) -> EventSchema:
    reader = _Reader()
    reader.read(avro)
    return EventSchema(avro, reader.fields, tuple(reader.faults), source)


class _Reader:
    """One pass over a schema: collects the usable fields and every fault."""

    def __init__(self) -> None:
        self.fields: dict[str, FieldType] = {}
        self.faults: list[SchemaFault] = []
        self._enums: set[str] = set()

    def read(self, avro: Mapping[str, object]) -> None:
        if avro.get("type") != "record":
            self._fault("schema-unsupported", f"an event's schema is an Avro record, not {_short(avro.get('type'))}")
            return
        self._check_name("record", avro.get("name"))
        fields = avro.get("fields")
        if not isinstance(fields, list) or not fields:
            self._fault("schema-unsupported", "an event's schema needs a list of fields")
            return
        names = (_local(avro.get("name")),)
        seen: set[str] = set()
        for position, entry in enumerate(fields):
            if not isinstance(entry, Mapping):
                self._fault("schema-unsupported", f"field {position} is not an object with a name and a type")
                continue
            name = entry.get("name")
            if not self._check_name("field", name) or not isinstance(name, str):
                continue
            if name in seen:
                self._fault("schema-duplicate-field", f"the field {name!r} is declared twice")
            seen.add(name)
            self._lint(name, entry.get("type"), names, 1)
            known = self._field_type(name, entry.get("type"))
            if known is not None:
                self.fields[name] = known

    def _fault(self, code: str, message: str, hint: str = "") -> None:
        fault = SchemaFault(code, message, hint)
        if fault not in self.faults:
            self.faults.append(fault)

    def _check_name(self, what: str, name: object) -> bool:
        if isinstance(name, str) and all(_NAME.fullmatch(part) for part in name.split(".")):
            return True
        self._fault(
            "schema-bad-name",
            f"{_short(name)} is no name for a {what}",
            "Avro names are letters, digits and underscores, and do not start with a digit",
        )
        return False

    def _lint(self, field: str, avro: object, names: tuple[str, ...], depth: int) -> None:
        """Look for what is dangerous to decode, anywhere below a field."""
        if depth > MAX_DEPTH:
            self._fault("schema-too-deep", f"the field {field!r} nests deeper than {MAX_DEPTH} levels")
        elif isinstance(avro, str):
            if _local(avro) in names:
                self._fault("schema-recursive", f"the field {field!r} contains its own record {avro!r}")
        elif isinstance(avro, list):
            for branch in avro:
                self._lint(field, branch, names, depth + 1)
        elif isinstance(avro, Mapping):
            self._lint_object(field, avro, names, depth)

    def _lint_object(self, field: str, avro: Mapping[str, object], names: tuple[str, ...], depth: int) -> None:
        kind = avro.get("type")
        if avro.get("logicalType") == "decimal" and kind == "bytes":
            self._fault(
                "schema-decimal",
                f"the field {field!r} is a decimal in bytes, which takes seconds to decode when it is long",
                "use a double, or a long in the smallest unit",
            )
        if kind in ("array", "map"):
            items = avro.get("items" if kind == "array" else "values")
            if _takes_no_bytes(items):
                self._fault(
                    "schema-zero-byte-items",
                    f"the field {field!r} has items that take no bytes: a message could claim billions",
                )
            self._lint(field, items, names, depth + 1)
        elif kind in ("record", "error"):
            inner = avro.get("fields")
            for entry in inner if isinstance(inner, list) else ():
                if isinstance(entry, Mapping):
                    self._lint(field, entry.get("type"), (*names, _local(avro.get("name"))), depth + 1)
        elif isinstance(kind, Mapping | list):
            self._lint(field, kind, names, depth + 1)

    def _field_type(self, field: str, avro: object) -> FieldType | None:
        nullable = False
        if isinstance(avro, list):
            branches = [branch for branch in avro if branch != "null"]
            nullable = len(branches) < len(avro)
            if len(branches) != 1 or len(avro) > 2:
                self._fault(
                    "schema-unsupported",
                    f"the field {field!r} is a union of {_short(avro)}",
                    _FLAT,
                )
                return None
            avro = branches[0]
        known = self._plain_type(field, avro)
        if known is None:
            self._fault("schema-unsupported", f"the field {field!r} is {_short(avro)}", _FLAT)
            return None
        return known._replace(nullable=nullable)

    def _plain_type(self, field: str, avro: object) -> FieldType | None:
        logical: str | None = None
        for _ in range(MAX_DEPTH):  # {"type": {"type": "long"}} is legal Avro
            if not isinstance(avro, Mapping) or avro.get("type") == "enum":
                break
            given = avro.get("logicalType")
            logical = given if isinstance(given, str) else logical
            avro = avro.get("type")
        if isinstance(avro, Mapping) and avro.get("type") == "enum":
            symbols = avro.get("symbols")
            if not self._check_name("enum", avro.get("name")) or not isinstance(symbols, list) or not symbols:
                return None
            self._enums.add(_local(avro.get("name")))
            return FieldType(Kind.TEXT, nullable=False, avro="enum")
        if isinstance(avro, str) and avro in _KINDS and logical != "decimal":
            return FieldType(_KINDS[avro], nullable=False, avro=avro, logical=logical)
        if isinstance(avro, str) and _local(avro) in self._enums:
            return FieldType(Kind.TEXT, nullable=False, avro="enum")
        return None


def _takes_no_bytes(avro: object, depth: int = 0) -> bool:
    if avro == "null":
        return True
    if not isinstance(avro, Mapping) or depth > MAX_DEPTH:
        return False
    if avro.get("type") == "fixed":
        return avro.get("size") == 0
    if avro.get("type") in ("record", "error"):
        fields = avro.get("fields")
        entries = fields if isinstance(fields, list) else []
        return all(isinstance(each, Mapping) and _takes_no_bytes(each.get("type"), depth + 1) for each in entries)
    return _takes_no_bytes(avro.get("type"), depth + 1)


def _local(name: object) -> str:
    return name.rpartition(".")[2] if isinstance(name, str) else ""


def _short(avro: object) -> str:
    """Return a schema as text, cut short: it is quoted in messages."""
    kind = avro.get("type") if isinstance(avro, Mapping) else None
    if isinstance(avro, Mapping) and isinstance(kind, str) and kind in _NESTED:
        return f"{kind} {avro.get('name', '')}".strip()
    text = repr(avro)
    return text if len(text) <= 60 else f"{text[:57]}..."
