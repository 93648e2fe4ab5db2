"""What the rounds come to: each figure's median, which the goals are held against, and its best beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

__all__ = ["GOALS", "Rounds", "summary"]

Rounds = dict[str, list[dict[str, float]]]
"""What each round measured on one side: ``at_rate`` and ``saturated``."""

GOALS: Final = {"p99_ms": 5.0, "per_s": 2_000.0}
"""At most, and at least; and every request is answered."""


def summary(sides: Mapping[str, Rounds]) -> dict[str, object]:
    """Return each side's medians by its name, the ``best`` of each, and whether the gateway's medians meet the goals.

    The best tells what the program can do, since what others do on the machine only ever adds; the median tells what it
    does.
    """
    medians = {side: _figures(rounds, median, median) for side, rounds in sides.items()}
    missed = _missed(medians["gateway"])
    return {
        **medians,
        "best": {side: _figures(rounds, min, max) for side, rounds in sides.items()},
        "goals": GOALS,
        "missed": missed,
        "met": not missed,
    }


def _figures(rounds: Rounds, least: _Choice, most: _Choice) -> dict[str, float]:
    at_rate, saturated = rounds["at_rate"], rounds["saturated"]
    return {
        "p50_ms": least([each["p50_ms"] for each in at_rate]),
        "p99_ms": least([each["p99_ms"] for each in at_rate]),
        "per_s": most([each["per_s"] for each in saturated]),
        "cpu_us": least([each["cpu_us"] for each in saturated]),
        "errors": sum(each["errors"] for each in (*at_rate, *saturated)),
    }


_Choice = Callable[[Sequence[float]], float]


def _missed(figures: Mapping[str, float]) -> list[str]:
    """Return the names of the figures that miss their goal; one that is no number does."""
    met = {
        "p99_ms": figures["p99_ms"] <= GOALS["p99_ms"],
        "per_s": figures["per_s"] >= GOALS["per_s"],
        "errors": figures["errors"] == 0,
    }
    return [name for name, is_met in met.items() if not is_met]
