"""Monitors, streams of rows and drift cores for the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import nan

import numpy as np

from riverrun.drift.monitor import Monitor
from riverrun.drift.settings import MonitorSettings
from riverrun.drift.shifts import Shift
from riverrun.drift.signals import Move, Signal
from riverrun.records.items import LABELLED, Drift, Example, FieldValue, ModelScore, Prediction, Source
from services.drift.core import DriftCore, DriftSettings
from services.drift.observing import ErrorObserver, InputObserver

FEATURE = ((Move.DISTRIBUTION, "input"), (Move.MISSING, "missing"), (Move.STALE, "stale"))
SIGNALS = (Signal("number", FEATURE), Signal("category", FEATURE, category=True))
SETTINGS = MonitorSettings(reference=2_000, window=200)
SMALL = MonitorSettings(reference=400, window=100)

Row = tuple[float, ...]


def rows(seed: int, count: int, *, mean: float = 0.0, shares: Sequence[float] = (0.5, 0.3, 0.2)) -> list[Row]:
    """Make rows of a normal number and a category, independent of each other."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(mean, 1.0, count)
    categories = rng.choice(len(shares), count, p=shares)
    return [(float(number), float(code)) for number, code in zip(numbers, categories, strict=True)]


def feed(monitor: Monitor, stream: Iterable[Row], start: int = 0) -> list[tuple[int, Shift]]:
    """Give a monitor rows, one a second; return what it finds, and at which position."""
    found = []
    for position, row in enumerate(stream, start):
        found += [(position, shift) for shift in monitor.take(row, position, position * 1_000)]
    return found


def missing(stream: Iterable[Row], every: int) -> list[Row]:
    """Lose the number of each ``every``-th row."""
    return [(nan, row[1]) if place % every == 0 else row for place, row in enumerate(stream)]


VECTORS: dict[bytes, tuple[FieldValue, ...]] = {}
"""What each framed vector holds."""

FEATURES = ("delay", "carrier")
MODELS = ("line", "tree")


def vector(delay: float | None, carrier: str | None) -> bytes:
    """Return what stands for a framed vector."""
    content = f"{delay!r}/{carrier}".encode()
    VECTORS[content] = (delay, carrier)
    return content


def prediction(seq: int, delay: float | None, carrier: str | None, score: float = 0.5) -> Prediction:
    """Return the prediction at a position; each is a second after the one before."""
    scores = (ModelScore("line", 0, score), ModelScore("tree", 0, 0.5))
    source = Source("p.vectors", 0, seq)
    return Prediction(f"e{seq}", "k", seq * 1_000, seq, scores, vector(delay, carrier), source, seq=seq)


def example(
    seq: int, label: float | None, scores: Sequence[float], *, outcome: str = LABELLED, delay: int = 60, writer: int = 0
) -> Example:
    """Return the example at a position, with the champion's score and the challenger's, and a delay in seconds."""
    return Example(
        id=f"e{seq}",
        key="k",
        time=seq * 1_000,
        outcome=outcome,
        label=label,
        label_time=(seq + delay) * 1_000,
        scores=tuple(ModelScore(model, 0, score) for model, score in zip(MODELS, scores, strict=True)),
        vector=vector(0.0, "UA" if seq % 2 else "AA"),
        source=Source("p.predictions", 0, seq),
        seq=seq,
        writer=writer,
    )


def input_core(segments: Sequence[str] = ("carrier",), settings: MonitorSettings = SMALL) -> DriftCore:
    """Return a core that watches predictions."""
    observer = InputObserver(FEATURES, {"delay": False, "carrier": True}, MODELS, segments, VECTORS.__getitem__)
    return DriftCore(observer, DriftSettings("p.predictions", 0, settings, settings))


def error_core(segments: Sequence[str] = ("carrier",), *, binary: bool = True) -> DriftCore:
    """Return a core that watches examples."""
    observer = ErrorObserver(FEATURES, MODELS, segments, binary=binary, read_vector=VECTORS.__getitem__)
    return DriftCore(observer, DriftSettings("p.examples", 0, SMALL, SMALL, MODELS))


def told(findings: Iterable[Drift]) -> set[tuple[str, str, str]]:
    """Return kind, subject and segment of each finding."""
    return {(each.kind, each.subject, each.segment) for each in findings}


def with_level(settings: MonitorSettings, level: float) -> MonitorSettings:
    """Return the settings with another level."""
    return replace(settings, level=level)
