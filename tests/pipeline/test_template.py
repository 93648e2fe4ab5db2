"""What ``riverrun init`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.validation import validate

from riverrun.pipeline import DefinitionError, compile_expression, load
from riverrun.pipeline.check import check_file
from riverrun.pipeline.template import write_new


def lines(paths: list[Path]) -> Iterator[dict[str, Any]]:
    (file,) = [path for path in paths if path.name == "events.jsonl"]
    yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", ["late-parcels", "parcels", "x", "A_1"])
def test_a_new_pipeline_passes_the_check(name: str, tmp_path: Path) -> None:
    """Nothing is wrong with it, not even a warning, and it is called as it was asked for."""
    paths = write_new(name, tmp_path / "new" / "folder")
    assert all(path.is_file() for path in paths)
    assert paths[0].name == f"{name.replace('-', '_')}.py"
    assert check_file(paths[0]) == []
    assert load(paths[0]).name == name


def test_its_events_are_of_its_streams(tmp_path: Path) -> None:
    """Every line's event is valid in its topic's schema, survives Avro, breaks no rule, and comes in order of time."""
    paths = write_new("late-parcels", tmp_path)
    pipeline = load(paths[0])
    streams = {stream.topic: stream for stream in pipeline.streams}
    rules = {topic: [compile_expression(rule) for rule in pipeline.rules_for(s)] for topic, s in streams.items()}
    times, ids, seen = [], set(), set()
    for line in lines(paths):
        stream, event = streams[line["topic"]], line["event"]
        schema = fastavro.parse_schema(dict(stream.schema.avro))
        assert validate(event, schema, strict=True)
        assert set(event) == set(stream.fields)
        assert all(rule(event) is not False for rule in rules[stream.topic])
        times.append(event[stream.time_field])
        ids.add((stream.topic, event[stream.id_field]))
        seen.add(stream.topic)
    assert times == sorted(times)
    assert len(ids) == len(times) == 120
    assert seen == set(streams)


def test_its_events_have_both_answers(tmp_path: Path) -> None:
    """A model needs examples of both classes, and each delivery has its shipment before it."""
    paths = write_new("late-parcels", tmp_path)
    pipeline = load(paths[0])
    label = compile_expression(pipeline.label.value)
    shipped: set[str] = set()
    labels = []
    for line in lines(paths):
        key = line["event"][pipeline.label.join]
        if line["topic"] == pipeline.predict_on.topic:
            shipped.add(key)
        else:
            assert key in shipped
            labels.append(label(line["event"]))
    assert set(labels) == {True, False}


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "x" * 101, "../up"])
def test_a_name_that_cannot_be_a_pipelines_is_refused(name: str, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(DefinitionError, match="is no name for a pipeline"):
        write_new(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["parcels.py", "shipped.avsc", "events.jsonl"])
def test_nothing_is_overwritten(taken: str, tmp_path: Path) -> None:
    """If one of the files is there, it stays, and none of the others is written."""
    (tmp_path / taken).write_text("mine", encoding="utf-8")
    with pytest.raises(DefinitionError, match="is there already") as caught:
        write_new("parcels", tmp_path)
    assert taken in caught.value.message
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [(taken, "mine")]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DefinitionError, match="nothing can be written to"):
        write_new("parcels", tmp_path / "file" / "below")
