"""The schemas in ``schemas/``: every version reads every other, ids never change, and none is dangerous."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import fastavro
import pytest

import schemas
from riverrun.records.avro import AvroRecord, content, fullname, make_resolving_reader, make_writer
from riverrun.records.compatibility import read_faults
from riverrun.records.fixed_records import FIXED_RECORDS
from riverrun.records.ids import FIRST_DERIVED_ID, Entry, ManifestIds
from riverrun.records.lint import lint
from tests.records.made import codecs_of

FOLDER = Path(schemas.__file__).parent
NAMES = schemas.names()

FIRST_IDS = {
    1: "riverrun.DeadLetter",
    2: "riverrun.Prediction",
    3: "riverrun.Example",
    4: "riverrun.Evaluation",
    5: "riverrun.ModelVersion",
    6: "riverrun.ModelAlias",
    7: "riverrun.Progress",
}
"""The ids that are on the wire since the first version: the manifest may grow behind them, and never change."""


@pytest.mark.parametrize("name", NAMES)
def test_every_version_reads_every_other(name: str) -> None:
    """FULL_TRANSITIVE: old records with new schemas, and new records with old ones, through all of the history."""
    versions = schemas.history(name)
    for written, wanted in permutations(versions, 2):
        assert read_faults(written, wanted) == ()
    for version in versions:
        assert read_faults(version, version) == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_current_schema_is_the_newest_version(name: str) -> None:
    """The file in the folder is, to the byte, the last one of its history, whose numbers have no gaps."""
    files = sorted((FOLDER / "history" / name).iterdir(), key=lambda path: int(path.stem))
    assert [path.name for path in files] == [f"{number}.avsc" for number in range(1, len(files) + 1)]
    assert files[-1].read_bytes() == (FOLDER / f"{name}.avsc").read_bytes()


def test_the_manifest_has_every_version_once() -> None:
    """Each version of each schema has a line, with its record's name as subject and its number; ids are unique."""
    lines = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    files = {f"history/{name}/{path.name}" for name in NAMES for path in (FOLDER / "history" / name).iterdir()}
    assert sorted(line["file"] for line in lines) == sorted(files)
    ids = [line["id"] for line in lines]
    assert ids == sorted(set(ids))
    assert all(0 < number < 100 < FIRST_DERIVED_ID for number in ids)
    for line in schemas.manifest():
        assert line.subject == fullname(line.schema)
        assert line.schema in schemas.history(_file_name(line.subject))
        assert schemas.history(_file_name(line.subject))[line.version - 1] == line.schema


def _file_name(subject: str) -> str:
    return next(name for name in NAMES if fullname(schemas.current(name)) == subject)


def test_ids_that_were_given_stay() -> None:
    """The first lines of the manifest are those that old logs were written with."""
    given = {line.id: line.subject for line in schemas.manifest()}
    assert {number: given.get(number) for number in FIRST_IDS} == FIRST_IDS


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_safe_and_documented(name: str) -> None:
    """No schema is dangerous to decode with; every record and field says what it is."""
    schema = schemas.current(name)
    assert lint(schema) == ()
    assert fastavro.parse_schema(schema)
    undocumented: list[str] = []

    def visit(node: Any, path: str) -> None:
        if isinstance(node, list):
            for each in node:
                visit(each, path)
        elif isinstance(node, dict):
            if node.get("type") in ("record", "enum") and not node.get("doc"):
                undocumented.append(path)
            for row in node.get("fields", ()):
                where = f"{path}.{row['name']}"
                if not row.get("doc"):
                    undocumented.append(where)
                visit(row["type"], where)
            for part in ("items", "values", "type"):
                visit(node.get(part), path)

    visit(schema, name)
    assert undocumented == []


def test_there_is_a_schema_for_every_fixed_record_and_no_other() -> None:
    """Code and folder agree on which records there are."""
    assert sorted(each.schema for each in FIXED_RECORDS) == sorted(NAMES)
    ids = ManifestIds(
        [Entry(line.subject, line.id, line.schema) for line in schemas.manifest()], [], lambda entry: None
    )
    for name in NAMES:
        schema = schemas.current(name)
        assert content(ids.schema_of(ids.id_of(fullname(schema), schema))) == content(schema)
    assert codecs_of().feature_set


@pytest.mark.parametrize("name", NAMES)
def test_records_with_fields_of_the_future_or_past_are_readable(name: str) -> None:
    """A reader skips what a newer version added, and takes defaults for what an older one did not have."""
    schema = schemas.current(name)
    fields = schema["fields"]
    assert isinstance(fields, list)
    optional = [row for row in fields if "default" in row]
    newer: AvroRecord = schema | {"fields": [*fields, {"name": "added", "type": ["null", "long"], "default": None}]}
    older: AvroRecord = schema | {"fields": [row for row in fields if row not in optional]}
    assert read_faults(newer, schema) == read_faults(older, schema) == ()
    datum = {row["name"]: _example(row["type"]) for row in fields}
    assert make_resolving_reader(newer, schema)(make_writer(newer)(datum | {"added": 5})) == datum
    expected = datum | {row["name"]: row["default"] for row in optional}
    assert make_resolving_reader(older, schema)(make_writer(older)(datum)) == expected


def _example(node: Any) -> object:
    if isinstance(node, list):
        return _example(node[-1])
    kind = node["type"] if isinstance(node, dict) else node
    if isinstance(node, dict) and kind == "enum":
        return node["symbols"][0]
    simple: dict[str, object] = {
        "string": "x",
        "long": 7,
        "int": 7,
        "double": 0.5,
        "bytes": b"x",
        "array": [],
        "map": {},
    }
    return simple[kind] if isinstance(kind, str) else _example(kind)
