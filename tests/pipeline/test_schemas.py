"""Reading event schemas without trusting them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.pipeline.schemas import MAX_DEPTH, EventSchema, FieldType, Kind, read_schema

HERE = Path(__file__).parent


def record(*fields: object, **more: object) -> dict[str, object]:
    return {"type": "record", "name": "Event", "fields": list(fields), **more}


def of_type(avro: object) -> EventSchema:
    """Read a schema whose second field is of some type."""
    return read_schema(record({"name": "id", "type": "string"}, {"name": "x", "type": avro}), HERE)


ENUM = {"type": "enum", "name": "Color", "symbols": ["red", "blue"]}


@pytest.mark.parametrize(
    ("avro", "known"),
    [
        ("boolean", FieldType(Kind.BOOL, False, "boolean")),
        ("int", FieldType(Kind.INT, False, "int")),
        ("long", FieldType(Kind.INT, False, "long")),
        ("float", FieldType(Kind.FLOAT, False, "float")),
        ("double", FieldType(Kind.FLOAT, False, "double")),
        ("string", FieldType(Kind.TEXT, False, "string")),
        ("bytes", FieldType(Kind.BYTES, False, "bytes")),
        ({"type": "string"}, FieldType(Kind.TEXT, False, "string")),
        ({"type": {"type": "long"}}, FieldType(Kind.INT, False, "long")),
        (ENUM, FieldType(Kind.TEXT, False, "enum")),
        (["null", ENUM], FieldType(Kind.TEXT, True, "enum")),
        (["null", "double"], FieldType(Kind.FLOAT, True, "double")),
        (["double", "null"], FieldType(Kind.FLOAT, True, "double")),
        (["double"], FieldType(Kind.FLOAT, False, "double")),
        (
            {"type": "long", "logicalType": "timestamp-millis"},
            FieldType(Kind.INT, False, "long", "timestamp-millis"),
        ),
    ],
)
def test_a_plain_field_is_understood(avro: object, known: FieldType) -> None:
    """Its kind, whether it may be missing, and how Avro calls it."""
    schema = of_type(avro)
    assert (schema.fields["x"], schema.faults) == (known, ())


def nested(depth: int) -> object:
    avro: object = "int"
    for _ in range(depth):
        avro = {"type": "array", "items": avro}
    return avro


RECURSIVE = {"type": "record", "name": "Inner", "fields": [{"name": "next", "type": ["null", "Inner"]}]}
EMPTY = {"type": "record", "name": "Empty", "fields": []}
NULLS = {"type": "record", "name": "Nulls", "fields": [{"name": "a", "type": "null"}, {"name": "b", "type": EMPTY}]}


@pytest.mark.parametrize(
    ("avro", "code"),
    [
        (["null", "Event"], "schema-recursive"),
        ({"type": "array", "items": "Event"}, "schema-recursive"),
        (RECURSIVE, "schema-recursive"),
        ({"type": "map", "values": RECURSIVE}, "schema-recursive"),
        ({"type": "array", "items": "null"}, "schema-zero-byte-items"),
        ({"type": "map", "values": "null"}, "schema-zero-byte-items"),
        ({"type": "array", "items": EMPTY}, "schema-zero-byte-items"),
        ({"type": "array", "items": NULLS}, "schema-zero-byte-items"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "schema-zero-byte-items"),
        (["null", {"type": "array", "items": {"type": "null"}}], "schema-zero-byte-items"),
        ({"type": {"type": "array", "items": "null"}}, "schema-zero-byte-items"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9}, "schema-decimal"),
        (["null", {"type": "bytes", "logicalType": "decimal", "precision": 9}], "schema-decimal"),
        ({"type": "array", "items": {"type": "bytes", "logicalType": "decimal"}}, "schema-decimal"),
        (nested(MAX_DEPTH + 1), "schema-too-deep"),
        ({"type": "array", "items": "int"}, "schema-unsupported"),
        ({"type": "map", "values": "int"}, "schema-unsupported"),
        ({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}, "schema-unsupported"),
        ({"type": "fixed", "name": "F", "size": 4}, "schema-unsupported"),
        (["int", "string"], "schema-unsupported"),
        (["null", "int", "string"], "schema-unsupported"),
        (["null", "null"], "schema-unsupported"),
        (["null", "null", "int"], "schema-unsupported"),
        (["null"], "schema-unsupported"),
        ([], "schema-unsupported"),
        ("null", "schema-unsupported"),
        ("integer", "schema-unsupported"),
        ("Unknown", "schema-unsupported"),
        (None, "schema-unsupported"),
        (7, "schema-unsupported"),
        ({"type": "enum", "name": "E", "symbols": []}, "schema-unsupported"),
    ],
)
def test_what_is_dangerous_or_not_plain_is_a_fault(avro: object, code: str) -> None:
    """It is told by a code and the field's name; the field cannot be used, the others can."""
    schema = of_type(avro)
    assert code in [fault.code for fault in schema.faults]
    assert all("'x'" in fault.message for fault in schema.faults)
    assert set(schema.fields) == {"id"}


@pytest.mark.parametrize(
    ("given_schema", "code", "says"),
    [
        ({"type": "enum", "name": "E", "symbols": ["a"]}, "schema-unsupported", "an Avro record, not 'enum'"),
        ({}, "schema-unsupported", "an Avro record"),
        (record(), "schema-unsupported", "needs a list of fields"),
        ({"type": "record", "name": "E", "fields": "x"}, "schema-unsupported", "needs a list of fields"),
        (record("id"), "schema-unsupported", "field 0"),
        (record({"type": "int"}), "schema-bad-name", "None is no name for a field"),
        (record({"name": "a-b", "type": "int"}), "schema-bad-name", "'a-b'"),
        (record({"name": "1a", "type": "int"}), "schema-bad-name", "'1a'"),
        (record({"name": "a", "type": "int"}, name="9"), "schema-bad-name", "'9' is no name for a record"),
        (record({"name": "a", "type": "int"}, {"name": "a", "type": "int"}), "schema-duplicate-field", "'a'"),
        ("{", "schema-unreadable", "not JSON"),
        ("{" * 100_000, "schema-unreadable", "not JSON"),
        ("absent.avsc", "schema-unreadable", "absent.avsc cannot be read"),
        (Path("made.py"), "schema-unreadable", "is not JSON"),
        (Path(), "schema-unreadable", "cannot be read"),
    ],
)
def test_what_is_no_event_schema_is_a_fault(given_schema: dict[str, object] | str | Path, code: str, says: str) -> None:
    """Nothing is raised, whatever was given."""
    (fault,) = read_schema(given_schema, HERE).faults
    assert fault.code == code
    assert says in fault.message


def test_a_schema_is_read_from_a_file_beside_the_pipeline(tmp_path: Path) -> None:
    """A path, or a text that is one, starts at the folder; a JSON text and a dict are the schema itself."""
    avro = record({"name": "id", "type": "string"})
    (tmp_path / "e.avsc").write_text(json.dumps(avro), encoding="utf-8")
    for given_schema in (Path("e.avsc"), "e.avsc", tmp_path / "e.avsc", avro, " " + json.dumps(avro)):
        schema = read_schema(given_schema, tmp_path)
        assert (set(schema.fields), schema.faults, dict(schema.avro)) == ({"id"}, (), avro)
    (tmp_path / "list.avsc").write_text("[1]", encoding="utf-8")
    (tmp_path / "bytes.avsc").write_bytes(b"\xff")
    for name in ("list.avsc", "bytes.avsc"):
        assert [fault.code for fault in read_schema(name, tmp_path).faults] == ["schema-unreadable"]


ANYTHING = st.recursive(
    st.none() | st.integers() | st.sampled_from(["null", "int", "Event", "record", "array", "bytes", "decimal", ""]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "fields", "items", "values", "symbols", "size", "logicalType"]),
            below,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(avro=ANYTHING)
def test_no_schema_makes_the_reader_stop(avro: object) -> None:
    """Whatever JSON it is: either the field can be used, or there is a fault."""
    schema = of_type(avro)
    assert ("x" in schema.fields) or schema.faults
