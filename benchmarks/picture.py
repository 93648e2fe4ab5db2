"""Draws the figures, each by what it has to reach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from benchmarks.figures import TARGETS, Json

_GOOD = "#2a6f97"
_BAD = "#c1666b"
_OPEN = "#a8a8a8"


def draw(figures: Mapping[str, Json], file: Path) -> None:
    """Draw one bar a figure: how far it lies beyond what it has to reach (right of 1), or short of it (left)."""
    names = [name for name in TARGETS if name in figures and figures[name].get("value") is not None]
    margins = [_margin(name, figures[name]) for name in names]
    canvas = Canvas(figsize=(8, 0.45 * len(names) + 1.2), layout="constrained")
    axes = canvas.subplots()
    places = range(len(names), 0, -1)
    colours = [_colour(figures[name]) for name in names]
    axes.barh(list(places), [min(margin, 4.0) for margin in margins], color=colours, height=0.6)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_yticks(list(places), names)
    axes.set_xlim(0, 4.2)
    axes.set_xlabel(
        "margin: 1 is what has to be reached; longer is better (cut off at 4)\n"
        "blue: reached, with all its parts; red: not reached, or a part of it; grey: undecided"
    )
    for place, margin, name in zip(places, margins, names, strict=True):
        axes.annotate(str(figures[name].get("value")), (min(margin, 4.0), place), xytext=(3, -3), **_TEXT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Without a date the same figures give the same file.
    canvas.savefig(file, metadata={"Date": None})


def _colour(figure: Json) -> str:
    if figure.get("short_of"):
        return _OPEN
    return _GOOD if figure.get("reached") else _BAD


_TEXT: Mapping[str, Any] = {"textcoords": "offset points", "fontsize": 8}


def _margin(name: str, figure: Json) -> float:
    target = TARGETS[name]
    value = float(str(figure.get("value", 0.0)))
    if target.better == "more":
        return value / target.reach
    return target.reach / value if value else 4.0
