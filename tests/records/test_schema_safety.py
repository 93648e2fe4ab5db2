"""Schemas that are dangerous to decode with are told from those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from riverrun.records.lint import MAX_DEPTH, lint


def record(*types: object, **more: object) -> dict[str, Any]:
    """Make a record schema with fields of these types."""
    fields = [{"name": f"f{number}", "type": each} for number, each in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields, **more}


def nested(depth: int) -> object:
    """Make arrays within arrays."""
    type_: object = "int"
    for _ in range(depth):
        type_ = {"type": "array", "items": type_}
    return type_


SAFE = {
    "primitives": record("null", "boolean", "int", "long", "float", "double", "bytes", "string"),
    "optional": record(["null", "double"]),
    "logical": record({"type": "long", "logicalType": "timestamp-millis"}),
    "array of records": record({"type": "array", "items": record("int") | {"name": "Inner"}}),
    "map of null": record({"type": "map", "values": "null"}),
    "enum, named twice": record({"type": "enum", "name": "E", "symbols": ["x"]}, "E", {"type": "array", "items": "E"}),
    "fixed": record({"type": "fixed", "name": "F", "size": 16}, {"type": "array", "items": "F"}),
    "namespaces": record({"type": "enum", "name": "E", "symbols": ["x"]}, "n.E", "E", namespace="n"),
    "union of null in an array": record({"type": "array", "items": ["null", "int"]}),
    "deep, just": record(nested(MAX_DEPTH - 2)),
}
DANGEROUS = {
    "recursion": (record(["null", "R"]), "R.f0 contains its own type 'R'"),
    "recursion by way of another": (
        record({"type": "record", "name": "S", "fields": [{"name": "r", "type": ["null", "R"]}]}),
        "R.f0.r contains its own type 'R'",
    ),
    "array of null": (record({"type": "array", "items": "null"}), "take no bytes"),
    "array of empty records": (
        record({"type": "array", "items": {"type": "record", "name": "S", "fields": []}}),
        "take no bytes",
    ),
    "array of records of null": (
        record({"type": "array", "items": {"type": "record", "name": "S", "fields": [{"name": "n", "type": "null"}]}}),
        "take no bytes",
    ),
    "array of fixed of nothing": (
        record({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}),
        "take no bytes",
    ),
    "decimal": (record({"type": "bytes", "logicalType": "decimal", "precision": 9}), "R.f0 is a decimal"),
    "decimal in fixed": (
        record({"type": "fixed", "name": "F", "size": 9, "logicalType": "decimal", "precision": 9}),
        "R.f0 is a decimal",
    ),
    "deep": (record(nested(MAX_DEPTH)), f"nests deeper than {MAX_DEPTH}"),
    "very deep": (record(nested(900)), f"nests deeper than {MAX_DEPTH}"),
    "undefined": (record("Unknown"), "not defined before it"),
    "no type": (record(7), "not an Avro type"),
    "no fields": ({"type": "record", "name": "R"}, "no list of fields"),
    "a field that is none": ({"type": "record", "name": "R", "fields": ["x"]}, "no object"),
    "nothing": (None, "not an Avro type"),
}


@pytest.mark.parametrize("schema", SAFE.values(), ids=SAFE.keys())
def test_safe_schemas_lint_clean(schema: object) -> None:
    """What real pipelines use is found safe."""
    assert lint(schema) == ()


@pytest.mark.parametrize(("schema", "words"), DANGEROUS.values(), ids=DANGEROUS.keys())
def test_dangerous_schemas_are_named(schema: object, words: str) -> None:
    """What could end or stop a process is told, with the field."""
    faults = lint(schema)
    assert len(faults) == 1
    assert words in faults[0]
