"""The wire format, held to bytes that were written once: whoever changes it sees it here, on purpose or not.

``RIVERRUN_WRITE_GOLDEN=1 pytest tests/records/test_golden_bytes.py`` writes the files that are missing. A file that is
there is never written again: to change one on purpose, delete it first, and remember that old logs hold the old bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

import schemas
from riverrun.records import headers as record_headers
from riverrun.records.avro import fullname
from riverrun.records.framing import unframe
from riverrun.records.ids import derived_id
from riverrun.records.items import Example, Item, Prediction, Progress, Vector
from tests.records.made import ITEMS, SCHEMAS, WRITER, codecs_of

GOLDEN = Path(__file__).with_name("golden")
SEQ = 12


class Written(NamedTuple):
    """A record as it lies in a topic."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]]


def sent(item: Item | Progress) -> Item | Progress:
    """Return the item with a position, as it has when it is written."""
    return item if isinstance(item, Progress) else replace(item, seq=SEQ)


def written(item: Item | Progress) -> Written:
    """Write an item."""
    return Written(*codecs_of().to_wire(sent(item), WRITER))


def golden(name: str) -> Written:
    """Read a golden record; write it first if that was asked for and it is missing."""
    value, envelope = GOLDEN / f"{name}.avro", GOLDEN / f"{name}.json"
    if os.environ.get("RIVERRUN_WRITE_GOLDEN") == "1" and not value.exists():
        made = written(ITEMS[name])
        rows = [[header, None if content is None else content.decode()] for header, content in made.headers]
        key = None if made.key is None else made.key.decode()
        GOLDEN.mkdir(exist_ok=True)
        envelope.write_text(json.dumps({"key": key, "headers": rows}, indent=2) + "\n", encoding="utf-8")
        value.write_bytes(made.value)
    rest = json.loads(envelope.read_text(encoding="utf-8"))
    headers = [(header, None if content is None else content.encode()) for header, content in rest["headers"]]
    return Written(None if rest["key"] is None else rest["key"].encode(), value.read_bytes(), headers)


@pytest.mark.parametrize("name", ITEMS)
def test_items_are_written_as_ever(name: str) -> None:
    """Key, value and headers of each record type are the golden ones, byte for byte."""
    assert written(ITEMS[name]) == golden(name)


@pytest.mark.parametrize("name", ITEMS)
def test_golden_records_are_read_as_they_were_meant(name: str) -> None:
    """Each golden record decodes to the item that it was made from, with its position and source from the headers."""
    record, codecs = golden(name), codecs_of()
    item = sent(ITEMS[name])
    if isinstance(item, Progress):
        assert codecs.decode_progress(record.value) == item
        return
    read, stamp = codecs.from_wire(record.value, record.headers)
    if isinstance(item, Vector | Prediction):
        item = replace(item, payload=record.value)
    if isinstance(item, Example):
        item = replace(item, writer=WRITER)
    assert read == item
    assert stamp == record_headers.Stamp(WRITER, SEQ, item.source)


@pytest.mark.parametrize("name", ITEMS)
def test_ids_in_the_frames_are_the_manifests(name: str) -> None:
    """Fixed records are framed with the id that the manifest gives their schema, vectors with one from its content."""
    schema_id, _ = unframe(golden(name).value)
    known = {line.id: fullname(line.schema) for line in schemas.manifest()}
    vector = SCHEMAS.vector.schema
    known[derived_id(vector)] = fullname(vector)
    assert known[schema_id].lower().endswith(type(ITEMS[name]).__name__.lower())


def test_there_is_a_golden_file_for_every_record_type() -> None:
    """No record type goes without, and no file without an item."""
    assert {path.stem for path in GOLDEN.glob("*.avro")} == {path.stem for path in GOLDEN.glob("*.json")} == set(ITEMS)
    covered = {type(item).__name__ for item in ITEMS.values()}
    assert {fullname(schemas.current(name)).rpartition(".")[2] for name in schemas.names()} <= covered
