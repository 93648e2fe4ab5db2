"""A figure that cannot be measured is told, and stops no other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks import cli as program
from benchmarks.figures import Figure, FiguresFile
from benchmarks.lab import Lab
from benchmarks.page import page
from benchmarks.picture import draw


def _half(lab: Lab) -> Iterable[Figure]:
    """Measure one of two figures, then fail."""
    del lab
    yield Figure("learn", 0.9, 0.0)
    raise RuntimeError("the other side has died")


def _whole(lab: Lab) -> Iterable[Figure]:
    """Measure what is asked for."""
    del lab
    yield Figure("instructions", 1.0, 0.0)


def test_one_failure_does_not_end_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured before and after it counts; the program says in its code, file and page what failed."""
    groups = (program.Group(("learn", "aggregates"), _half), program.Group(("instructions",), _whole))
    written: list[FiguresFile] = []
    monkeypatch.setattr(program, "GROUPS", groups)
    monkeypatch.setattr(program, "write_page", written.append)
    assert program.main(["--folder", str(tmp_path)]) == 1
    figures = written[0].read()
    assert {name: figures[name]["value"] for name in figures} == {"learn": 0.9, "aggregates": None, "instructions": 1.0}
    assert figures["aggregates"]["failed"] == "RuntimeError: the other side has died"
    assert figures["aggregates"]["reached"] is False
    assert "could not be measured: RuntimeError: the other side has died" in page(figures, {})
    draw(figures, tmp_path / "picture.svg")
    assert b"aggregates" not in (tmp_path / "picture.svg").read_bytes()


def test_without_failures_the_program_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that is measured again takes the place of its failure."""
    monkeypatch.setattr(program, "GROUPS", (program.Group(("instructions",), _whole),))
    monkeypatch.setattr(program, "write_page", lambda file: None)
    FiguresFile(tmp_path / "bench.json").fail("instructions", "RuntimeError: once", "quick")
    assert program.main(["--folder", str(tmp_path)]) == 0
    found = FiguresFile(tmp_path / "bench.json").read()["instructions"]
    assert (found["value"], found["reached"], found.get("failed")) == (1.0, True, None)
