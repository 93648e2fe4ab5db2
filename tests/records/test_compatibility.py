"""Which schemas can read which: the Avro specification's rules one by one, and fastavro as the judge of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.records.avro import AvroRecord, content, fingerprint, make_resolving_reader, make_writer
from riverrun.records.compatibility import read_faults

Type = Any
"""A type as JSON has it: a name, a list of branches, or an object."""

_NO_DEFAULT = object()


def record(type_: Type, default: object = _NO_DEFAULT, name: str = "R", field: str = "a") -> AvroRecord:
    """Make a record schema with one field."""
    row: dict[str, object] = {"name": field, "type": type_}
    if default is not _NO_DEFAULT:
        row["default"] = default
    return {"type": "record", "name": name, "fields": [row]}


def enum(*symbols: str, **more: object) -> Type:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int, name: str = "F") -> Type:
    return {"type": "fixed", "name": name, "size": size}


def array(items: Type) -> Type:
    return {"type": "array", "items": items}


def mapping(values: Type) -> Type:
    return {"type": "map", "values": values}


READABLE: tuple[tuple[Type, Type], ...] = (
    *((kind, kind) for kind in ("null", "boolean", "int", "long", "float", "double", "bytes", "string")),
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
    ("int", {"type": "long", "logicalType": "timestamp-millis"}),
    ("int", ["null", "long"]),
    (["null", "int"], ["null", "double"]),
    (["int"], "long"),
    (["int", "string"], ["string", "long"]),
    (enum("x"), enum("x", "y")),
    (enum("x", "y"), enum("x", default="x")),
    (fixed(4), fixed(4)),
    (array("int"), array("long")),
    (mapping(["null", "int"]), mapping(["null", "float"])),
    (record("int", name="S"), record("double", name="S")),
)
UNREADABLE: tuple[tuple[Type, Type, str], ...] = (
    ("long", "int", "R.a was long and cannot be read as int"),
    ("double", "float", "R.a was double and cannot be read as float"),
    ("double", "long", "R.a was double"),
    ("boolean", "int", "R.a was boolean"),
    ("string", "int", "R.a was string"),
    ("null", "string", "R.a was null"),
    (["null", "int"], "int", "R.a was null"),
    ("string", ["null", "int"], "R.a was string, which is in no branch"),
    (["null", "string"], ["null", "int"], "R.a was string, which is in no branch"),
    (enum("x", "y"), enum("x"), "R.a may hold y"),
    (fixed(4), fixed(5), "R.a had 4 bytes and is read as 5"),
    (fixed(4), fixed(4, "G"), "R.a was called F and is now G"),
    (fixed(4), "bytes", "R.a was fixed"),
    (array("string"), array("int"), r"R.a\[\] was string"),
    (mapping("int"), array("int"), "R.a was map and cannot be read as array"),
    (record("int", name="S"), record("int", name="T"), "R.a was called S and is now T"),
    (record("string", name="S"), record("int", name="S"), "R.a.a was string"),
)
DATA: Mapping[str, object] = {
    "null": None,
    "boolean": True,
    "int": 7,
    "long": 7,
    "float": 0.5,
    "double": 0.5,
    "bytes": b"ab",
    "string": "ab",
}


def examples(type_: Type) -> list[Any]:
    """Return data of a type, at least one for each branch and symbol."""
    if isinstance(type_, list):
        return [each for branch in type_ for each in examples(branch)]
    if isinstance(type_, str):
        return [DATA[type_]]
    kind = type_["type"]
    if kind == "enum":
        return list(type_["symbols"])
    if kind == "fixed":
        return [b"x" * type_["size"]]
    if kind == "array":
        return [[], examples(type_["items"])]
    if kind == "map":
        return [{str(number): each for number, each in enumerate(examples(type_["values"]))}]
    if kind == "record":
        return records(type_)
    return examples(kind)


def fields_of(schema: AvroRecord) -> list[dict[str, Any]]:
    """Return a record schema's fields."""
    fields = schema["fields"]
    assert isinstance(fields, list)
    return fields


def records(schema: AvroRecord) -> list[dict[str, Any]]:
    """Return records that hold every example of every field."""
    choices = {row["name"]: examples(row["type"]) for row in fields_of(schema)}
    most = max((len(each) for each in choices.values()), default=1)
    return [{name: each[number % len(each)] for name, each in choices.items()} for number in range(most)]


@pytest.mark.parametrize(("written", "wanted"), READABLE, ids=str)
def test_what_the_specification_allows_is_compatible(written: Type, wanted: Type) -> None:
    """No fault is found, and fastavro reads each example."""
    old, new = record(written), record(wanted)
    assert read_faults(old, new) == ()
    read = make_resolving_reader(old, new)
    for each in records(old):
        read(make_writer(old)(each))


@pytest.mark.parametrize(("written", "wanted", "words"), UNREADABLE, ids=str)
def test_what_the_specification_forbids_is_a_fault(written: Type, wanted: Type, words: str) -> None:
    """The fault names the field and what became of it."""
    with pytest.raises(AssertionError, match=words):
        assert not (faults := read_faults(record(written), record(wanted))), faults


def test_new_fields_need_defaults() -> None:
    """A field that the writer did not have needs a default; one that the reader does not have is skipped."""
    none: AvroRecord = {"type": "record", "name": "R", "fields": []}
    assert read_faults(none, record("int")) == ("R.a is new and has no default",)
    assert read_faults(none, record(["null", "int"], None)) == ()
    assert read_faults(record("int"), none) == ()


def test_a_record_may_not_be_renamed() -> None:
    """Another name is another record, whatever its fields; another namespace is not, as in Avro's rules."""
    assert read_faults(record("int"), record("int", name="S")) == (("S was called R and is now S"),)
    assert read_faults(record("int"), record("int", name="other.R")) == ()


def test_named_types_are_known_where_they_are_used_again() -> None:
    """A type that is defined once and named later is compared as what it was defined to be."""
    old: AvroRecord = {
        "type": "record",
        "name": "R",
        "namespace": "n",
        "fields": [{"name": "gone", "type": enum("x", "y")}, {"name": "a", "type": "E"}, {"name": "b", "type": "n.E"}],
    }
    new: AvroRecord = {
        "type": "record",
        "name": "R",
        "namespace": "n",
        "fields": [{"name": "a", "type": enum("x")}, {"name": "b", "type": "E"}],
    }
    assert read_faults(old, old) == ()
    assert [fault.partition(" ")[0] for fault in read_faults(old, new)] == ["R.a", "R.b"]


primitives = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
symbols = st.lists(st.sampled_from("xyz"), min_size=1, max_size=3, unique=True)
simple = primitives | symbols.map(lambda some: enum(*some)) | st.integers(1, 2).map(fixed)
unions = st.lists(primitives, min_size=1, max_size=3, unique=True)
types = simple | unions | simple.map(array) | unions.map(array) | primitives.map(mapping)


@st.composite
def schemas(draw: st.DrawFn) -> AvroRecord:
    """Make a record schema of one or two fields, some with a default of null; at most one has a named type."""
    rows: list[dict[str, object]] = [{"name": "a", "type": draw(types)}]
    if draw(st.booleans()):
        rows.append({"name": "b", "type": ["null", draw(st.sampled_from(["int", "string"]))], "default": None})
    if draw(st.booleans()):
        rows.append({"name": "c", "type": "int"})
    return {"type": "record", "name": "R", "fields": rows}


def resolves(old: AvroRecord, new: AvroRecord) -> bool:
    """Tell whether fastavro, asked itself, reads all examples of one schema with the other."""
    written, wanted = fastavro.parse_schema(old), fastavro.parse_schema(new)
    for each in records(old):
        out = BytesIO()
        fastavro.schemaless_writer(out, written, each)
        out.seek(0)
        try:
            fastavro.schemaless_reader(out, written, wanted)
        except (fastavro.schema.SchemaParseException, fastavro.read.SchemaResolutionError, ValueError, TypeError):
            return False
    return True


@st.composite
def evolutions(draw: st.DrawFn) -> tuple[AvroRecord, AvroRecord]:
    """Make a schema and what somebody might have made of it."""
    old = draw(schemas())
    first = fields_of(old)[0]["type"]
    changed = [first, [*first, "null"] if isinstance(first, list) and "null" not in first else ["null", "double"]]
    wider = {
        "int": ["long", "double"],
        "long": ["float"],
        "float": ["double"],
        "string": ["bytes"],
        "bytes": ["string"],
    }
    if isinstance(first, str):
        changed += wider.get(first, [])
    if isinstance(first, dict) and first["type"] == "enum":
        changed.append(enum("x", "y", "z"))
    new_type = draw(st.sampled_from(changed) | types)
    return old, {**old, "fields": [{"name": "a", "type": new_type}, *fields_of(draw(schemas()))[1:]]}


@settings(max_examples=300)
@given(evolutions())
def test_what_passes_is_readable(pair: tuple[AvroRecord, AvroRecord]) -> None:
    """Where no fault is found, fastavro reads every example of the old schema with the new one."""
    old, new = pair
    if read_faults(old, new) == ():
        assert resolves(old, new)


@given(schemas())
def test_every_schema_reads_itself(schema: AvroRecord) -> None:
    """A schema is compatible with itself."""
    assert read_faults(schema, schema) == ()
    assert resolves(schema, schema)


def test_documentation_and_order_are_no_content() -> None:
    """Two schemas are the same whatever their docs and the order of attributes; not with another default or type."""
    one: AvroRecord = {"type": "record", "name": "R", "fields": [{"name": "doc", "type": "string", "default": "x"}]}
    documented: AvroRecord = {
        "fields": [{"default": "x", "doc": "Words.", "type": "string", "name": "doc"}],
        "name": "R",
        "doc": "Words.",
        "type": "record",
    }
    assert content(one) == content(documented)
    assert content(one) != content(record("string", "y", field="doc"))
    dated = record({"type": "long", "logicalType": "timestamp-millis"})
    assert content(dated) != content(record({"type": "long"}))
    assert fingerprint(dated) == fingerprint(record("long"))
    assert fingerprint(one) == fingerprint(documented) != fingerprint(dated)
