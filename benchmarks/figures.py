"""The figures: what each is called, what it has to reach, and the file that they are kept in."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from riverrun.features import panes

Better = Literal["more", "less"]
Json = Mapping[str, object]

_PACES: Final = 5


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach.

    Parameters
    ----------
    reach
        The value to reach.
    better
        Whether more or less than that is better.
    unit
        What the value is: most are ratios.
    what
        What is measured, against what.
    """

    reach: float
    better: Better
    unit: str
    what: str

    def reached_by(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        return value >= self.reach if self.better == "more" else value <= self.reach


TARGETS: Final[Mapping[str, Target]] = {
    "score_hop": Target(0.85, "more", "ratio", "one score hop, exactly once: events a CPU second, by the bare loop's"),
    "chained": Target(0.6, "more", "ratio", "five stages in one process: events a CPU second, by the bare loop's"),
    "best_peer": Target(
        2.0, "more", "ratio", "five separate services, events a second, by the fastest peer's that is exactly once"
    ),
    "learn": Target(0.9, "more", "ratio", "examples a CPU second, by the plain River loop's; the worst of four models"),
    "latency": Target(50.0, "less", "ms", "event appended to prediction committed, chained, 1,000 a second, p99"),
    "freshness": Target(1.0, "less", "s", "label appended until a model that has learned from it scores, p99"),
    "flat_throughput": Target(
        0.95, "more", "ratio", "events a CPU second at the end of the log, by those at its start"
    ),
    "flat_memory": Target(1.05, "less", "ratio", "resident memory at the end of the log, by that at its start"),
    "scale_2": Target(
        1.7, "more", "ratio", "vectors a second that two members score with a large forest, by those of one"
    ),
    "restart": Target(5.0, "less", "s", "start to first prediction, with a million entities and pending labels"),
    "aggregates": Target(1.0, "less", "ratio", "cost of an aggregate among 64, by that of one alone"),
    "pause": Target(100.0, "less", "ms", "longest pause of the stream, learning a forest whose snapshot has 10 MB"),
    "instructions": Target(
        1.03, "less", "ratio", "instructions an event, by those that were kept last, for a reason that is said"
    ),
}
"""The figures by name, as the table in ``docs/performance.md`` has them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Parameters
    ----------
    name
        One of `TARGETS`.
    value
        Median over the rounds.
    spread
        Greatest less smallest of the rounds.
    rounds
        What each round gave.
    parts
        What else has to be reached, by name: (value, target).
    details
        Whatever explains the figure.
    short_of
        In what the run falls short of what the target is about (a smaller state, nothing to compare with); such a
        figure says nothing on whether the target is reached.
    """

    name: str
    value: float
    spread: float
    rounds: tuple[float, ...] = ()
    parts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    details: Json = field(default_factory=dict)
    short_of: str = ""

    def as_json(self) -> dict[str, object]:
        """Return what is kept of it."""
        target = TARGETS[self.name]
        reached = target.reached_by(self.value) and all(
            value >= reach if target.better == "more" else value <= reach for value, reach in self.parts.values()
        )
        return {
            "value": _rounded(self.value),
            "reach": target.reach,
            "spread": _rounded(self.spread),
            "better": target.better,
            "unit": target.unit,
            "reached": None if self.short_of else reached,
            "short_of": self.short_of,
            "rounds": [_rounded(each) for each in self.rounds],
            "parts": {name: {"value": _rounded(value), "reach": reach} for name, (value, reach) in self.parts.items()},
            "details": dict(self.details),
        }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def machine() -> dict[str, object]:
    """Describe the machine, as far as figures depend on it."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def pace_ms() -> int:
    """Return how long Python takes to add up a million numbers here and now, in milliseconds: the median of five times.

    Where others share the processor it may take twice as long as a minute ago, and so does all that is measured.
    """
    times = []
    for _ in range(_PACES):
        began, total = time.perf_counter(), 0
        for number in range(1_000_000):
            total += number
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1e3)


def how_it_runs() -> str:
    """Return whether riverrun's inner loops are ``compiled`` or ``interpreted`` in this process."""
    return "interpreted" if Path(panes.__file__).suffix == ".py" else "compiled"


class FiguresFile:
    """The file that figures are kept in; those not measured again stay.

    Parameters
    ----------
    path
        A JSON file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Json]:
        """Return the figures by name."""
        found = self._document().get("figures", {})
        return dict(found) if isinstance(found, dict) else {}

    def put(self, figure: Figure, size: str, paces: Sequence[int]) -> None:
        """Put one figure in the place of its last; ``paces`` are the machine's, before its group and after it."""
        figures = self.read()
        how = {"size": size, "how": how_it_runs(), "pace_ms": list(paces)}
        figures[figure.name] = {**figure.as_json(), **how}
        self._write(figures)

    def _write(self, figures: Mapping[str, Json]) -> None:
        ordered = {name: figures[name] for name in TARGETS if name in figures}
        document = {**self._document(), "machine": machine(), "figures": ordered}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def fail(self, name: str, why: str, size: str) -> None:
        """Put in a figure's place that it could not be measured; what was measured before is worth nothing now."""
        figures = self.read()
        target = TARGETS[name]
        figures[name] = {
            "value": None,
            "reach": target.reach,
            "spread": None,
            "better": target.better,
            "unit": target.unit,
            "reached": False,
            "short_of": "",
            "failed": why,
            "size": size,
        }
        self._write(figures)

    def machine(self) -> Json:
        """Return what is known of the machine that they were measured on."""
        found = self._document().get("machine", {})
        return found if isinstance(found, dict) else {}

    def _document(self) -> dict[str, object]:
        if not self._path.exists():
            return {}
        found: object = json.loads(self._path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
