"""Seeded streams of predictions and their labels, whose drifts are known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, sqrt
from typing import Final, NamedTuple

__all__ = ["CATEGORIES", "FEATURES", "KINDS", "NUMBERS", "REGIONS", "Change", "Event", "Kind", "stream"]

NUMBERS: Final = ("age", "amount", "distance", "load", "price", "rate", "speed", "weight")
CATEGORIES: Final = ("channel", "region")
FEATURES: Final = (*NUMBERS, *CATEGORIES)
REGIONS: Final = ("north", "east", "south", "west")
_CHANNELS: Final = ("web", "shop", "phone", "post")
_CONCEPT: Final = (1.2, -0.8, 0.6, 0.9, -1.1, 0.4, 0.0, 0.0)
_OTHER_CONCEPT: Final = (-0.6, 0.9, 0.6, -0.9, 0.7, 0.4, 0.8, 0.0)
_RAMP: Final = 3_000
_EPISODE: Final = 6_000


class Event(NamedTuple):
    """One event to predict on, and its label; ``label_delay`` in events, None if the label never comes."""

    values: tuple[float | str | None, ...]
    label: bool
    label_delay: int | None


class Change(NamedTuple):
    """A drift: the event with which it begins, and how many events it may take to be found."""

    at: int
    patience: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of stream.

    Parameters
    ----------
    name
        What it is called.
    changes
        Where its drifts lie, given the generator and the stream's length.
    shown_by
        The kinds of finding that tell of its drifts: others may be right too, but not of what was changed.
    """

    name: str
    changes: Callable[[random.Random, int], list[Change]]
    shown_by: frozenset[str] = frozenset()


def _once(patience: int) -> Callable[[random.Random, int], list[Change]]:
    return lambda rng, length: [Change(rng.randrange(length // 2, length - 6_000), patience)]


def _again_and_again(rng: random.Random, length: int) -> list[Change]:
    first = rng.randrange(8_000, 9_000)
    return [Change(at, 2_000) for at in range(first, length - 2_000, _EPISODE)]


_CONCEPT_SHOWN: Final = frozenset({"error", "calibration", "label", "prediction"})
KINDS: Final = (
    Kind("none", lambda rng, length: []),
    Kind("none, breathing", lambda rng, length: []),
    Kind("sudden", _once(2_000), _CONCEPT_SHOWN),
    Kind("gradual", _once(_RAMP + 1_000), _CONCEPT_SHOWN),
    Kind("recurring", _again_and_again, _CONCEPT_SHOWN),
    Kind("covariate only", _once(2_000), frozenset({"input", "prediction"})),
    Kind("one segment", _once(4_000), _CONCEPT_SHOWN),
    Kind("broken feed", _once(2_000), frozenset({"input", "missing", "stale"})),
    Kind("labels", _once(3_000), frozenset({"label", "label-delay", "label-starvation"})),
)
"""All kinds of streams; the first two have no drift, though the second breathes: what is near is alike."""


def stream(kind: Kind, seed: int, length: int) -> tuple[list[Change], Iterator[Event]]:
    """Return a stream's drifts, and its events."""
    rng = random.Random(f"{kind.name}/{seed}")
    changes = kind.changes(rng, length)
    return changes, _events(kind.name, rng, [change.at for change in changes], length)


def _events(kind: str, rng: random.Random, at: list[int], length: int) -> Iterator[Event]:
    way = rng.randrange(2)
    slow = [0.0, 0.0]
    for number in range(length):
        since = [number - start for start in at if number >= start]
        numbers = [rng.gauss(0.0, 1.0) for _ in NUMBERS]
        if kind == "none, breathing":
            for index in range(len(slow)):
                numbers[index] = slow[index] = 0.9 * slow[index] + sqrt(1.0 - 0.81) * numbers[index]
        channel = rng.choices(_CHANNELS, (50, 30, 15, 5))[0]
        region = rng.choice(REGIONS)
        moved = bool(since)
        if kind == "covariate only" and moved:
            numbers[2] += 0.6
            channel = rng.choices(_CHANNELS, (30, 30, 25, 15))[0]
        concept = _OTHER_CONCEPT if _other(kind, rng, since, region) else _CONCEPT
        label = rng.random() < 1.0 / (1.0 + exp(-sum(w * x for w, x in zip(concept, numbers, strict=True))))
        values: list[float | str | None] = [*numbers, channel, region]
        for index in range(len(NUMBERS)):
            if rng.random() < 0.01:
                values[index] = None
        if kind == "broken feed" and moved:
            # The feed of a feature that decides nothing: no error tells.
            values[7] = 0.5 if way else None if rng.random() < 0.2 else values[7]
        yield Event(tuple(values), label, _delay(kind, rng, way, moved=moved))


def _other(kind: str, rng: random.Random, since: list[int], region: str) -> bool:
    """Tell whether labels follow the other concept."""
    if not since:
        return False
    if kind == "sudden":
        return True
    if kind == "gradual":
        return rng.random() < since[0] / _RAMP
    if kind == "recurring":
        return len(since) % 2 == 1
    return kind == "one segment" and region == REGIONS[0]


def _delay(kind: str, rng: random.Random, way: int, *, moved: bool) -> int | None:
    """Return after how many events a label comes: late, or more often never, in a stream whose labels drift."""
    drifting = kind == "labels" and moved
    if rng.random() < (0.25 if drifting and way else 0.02):
        return None
    return int(rng.expovariate(1.0 / 150.0 if drifting and not way else 1.0 / 100.0)) + 20
