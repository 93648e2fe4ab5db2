"""``pause``: for how long the stream stands still, at most, while a forest of 10 MB is learned and snapshots are taken.

The learn stage as its wiring builds it, on examples in memory. A turn is one example, and after every second the
state's flush: what the stage does between two looks at its inputs. The longest turn less the median turn is what a
snapshot, and writing it to the model store, adds: beside the stream, as riverrun takes it, and at once, for
comparison. River's usual forest takes some 200,000 examples to be of that size; this one tries all features in every
leaf and splits soon.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from river import forest

from benchmarks.figures import Figure
from benchmarks.lab import Lab
from benchmarks.rounds import isolated, median_and_spread
from benchmarks.synthetic import made_examples, numbers_pipeline
from riverrun.models.beside import Take, taken_now
from riverrun.models.pickling import dump_state
from riverrun.pipeline import Pipeline
from riverrun.records.items import Example
from riverrun.runtime import collector
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageContext
from riverrun.testing.key_value import MemoryKeyValueStore
from riverrun.testing.partial_store import MemoryPartialStore
from riverrun.testing.small_world import make_codecs
from services.catalogue import STAGES
from services.learn.core import LearnCore
from services.learn.state import LearnState

_FEATURES: Final = 40
_BYTES: Final = 10_000_000
_GROWN_BY: Final = 4.0
"""At most, from one look to the next: a forest grows about as its examples do, but not at first."""
_BEYOND: Final = 1.05
_NEVER: Final = 1_000_000_000
_TURNS: Final = 100
_FLUSH_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in milliseconds: on the wall, and of this thread's processor time, which does not wait for others."""

    wall_ms: float
    cpu_ms: float


def grown_forest() -> forest.ARFClassifier:
    """Return a forest of ten trees that grows fast."""
    return forest.ARFClassifier(
        n_models=10,
        seed=7,
        max_features=_FEATURES,
        grace_period=20,
        delta=0.2,
        tau=0.2,
        drift_detector=None,
        warning_detector=None,
    )


def measure(lab: Lab, least: int = _BYTES) -> Figure:
    """Measure, with a forest whose snapshot has so many bytes at least."""
    rounds = 1 if lab.size.name == "quick" else 3
    results = [isolated(pauses, lab.folder, least) for _ in range(rounds)]
    values = [beside.wall_ms for beside, _, _ in results]
    value, spread = median_and_spread(values)
    beside, at_once, size = results[-1]
    details = {
        "snapshot_mb": round(size / 1e6, 1),
        "processor_ms": round(beside.cpu_ms),
        "taken_at_once_ms": round(at_once.wall_ms),
        "taken_at_once_processor_ms": round(at_once.cpu_ms),
    }
    short_of = "" if least >= _BYTES else f"a snapshot of {size / 1e6:.1f} MB, not of 10"
    return Figure("pause", value, spread, tuple(values), details=details, short_of=short_of)


def pauses(folder: Path, least: int) -> tuple[Pause, Pause, int]:
    """Return the longest pause of the stream, beside and at once, and the snapshot's bytes."""
    pipeline = replace(numbers_pipeline("pause", _FEATURES, grown_forest), snapshot_every=_NEVER)
    core, state, examples = _stage(pipeline, folder)
    size, looked = 0, _TURNS
    while size < least:
        # To look takes as long as to learn dozens of examples, so it is done seldom.
        while core.position < looked:
            core.step(next(examples))
        size = len(dump_state(core.models.learners[0].estimator))
        looked = int(looked * min(_GROWN_BY, max(1.1, _BEYOND * least / size)))
    state.flush(core.positions())
    # As the worker does when its tasks are restored: a full collection of so large a forest takes half a second.
    collector.set_aside()
    beside = _longest(core, state, examples, core.take)
    at_once = _longest(core, state, examples, taken_now)
    state.close()
    return beside, at_once, size


def _longest(core: LearnCore, state: LearnState, examples: Iterator[Example], take: Take) -> Pause:
    """Learn until a snapshot was asked for and stored; return the longest turn less the median."""
    core.take = take
    core.settings = replace(core.settings, snapshot_every=core.position + _TURNS)
    turns: list[float] = []
    worked: list[float] = []
    flushed = time.monotonic()
    stored = False
    for number in range(100 * _TURNS):
        began, at_work = time.perf_counter(), time.thread_time()
        core.step(next(examples))
        waited = bool(core.captures)
        if waited:
            # One is enough: who asks for the next one while it is being taken waits.
            core.settings = replace(core.settings, snapshot_every=_NEVER)
        if time.monotonic() - flushed > _FLUSH_S:
            state.flush(core.positions())
            stored = stored or (waited and not core.captures)
            flushed = time.monotonic()
        turns.append(time.perf_counter() - began)
        worked.append(time.thread_time() - at_work)
        if stored and number >= _TURNS:
            break
    wall, cpu = (max(each) - statistics.median(each) for each in (turns, worked))
    return Pause(wall * 1e3, cpu * 1e3)


def _stage(pipeline: Pipeline, folder: Path) -> tuple[LearnCore, LearnState, Iterator[Example]]:
    ids, codecs = make_codecs(pipeline)
    context = StageContext(
        pipeline=pipeline,
        partition=0,
        partitions=1,
        codecs=codecs,
        ids=ids,
        settings=Settings(data_folder=folder / "pause"),
        partials=MemoryPartialStore,
        stores=lambda _: MemoryKeyValueStore(),
        chained=frozenset(),
    )
    stage = STAGES["learn"].build(context)
    (state,) = stage.states
    return cast("LearnCore", stage.core), cast("LearnState", state), made_examples(codecs, _FEATURES)
