"""The page of figures says what was reached, what of a figure was not, and how sure it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import Figure, FiguresFile, how_it_runs
from benchmarks.measures.instructions import KEPT
from benchmarks.page import page


def _rows(*figures: Figure) -> list[str]:
    text = page({each.name: each.as_json() for each in figures}, {})
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_what_falls_short_is_named() -> None:
    """A figure may be good enough, and a part of it not: then the row says which."""
    parts = {"chained_p50_ms": (11.5, 10.0), "separate_p99_ms": (101.0, 150.0)}
    (row,) = _rows(Figure("latency", 48.0, 0.0, (48.0,), parts))
    assert row.endswith("| 48.0 ms | ≤ 50.0 ms | one round | **not reached**: chained_p50_ms 11.5 > 10.0 |")


def test_a_spread_takes_rounds() -> None:
    """One round has none, whatever the figure holds; an undecided figure says why."""
    many = Figure("chained", 0.7, 0.1, (0.65, 0.7, 0.75))
    one = Figure("scale_2", 1.8, 0.0, (1.8,), short_of="one processor")
    assert [row.rsplit(" | ", 2)[1:] for row in _rows(many, one)] == [
        ["0.1", "reached |"],
        ["one round", "undecided: one processor |"],
    ]


@pytest.mark.parametrize("how", ["compiled", "interpreted"])
def test_a_kept_count_of_instructions_says_why(how: str) -> None:
    """Who writes down another count, of either kind, writes down the reason."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))[how]
    assert kept["per_event"] > 100_000
    assert len(kept["why"].split()) > 3


def test_how_a_figure_was_measured_is_said(tmp_path: Path) -> None:
    """A figure of a compiled run beside one of an interpreted run: each says which it is."""
    file = FiguresFile(tmp_path / "bench.json")
    file.put(Figure("chained", 0.7, 0.0), "quick", (120, 240))
    text = page(file.read(), {})
    assert f"### chained (quick, {how_it_runs()})" in text
    assert "- pace: 120 and 240 ms" in text
