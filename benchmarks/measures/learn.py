"""``learn``: the learn stage's fold against the plain River loop, on the same logged examples.

Processor time of one thread, both sides in one process, a slice of examples each in turn. Both begin with a framed
vector, its label and the score that was served; both end with a model that has learned it and a metric that knows of
it. That they do the same work is checked: the two models' digests must be equal.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from river import forest, linear_model, metrics, optim, tree

from benchmarks.bare.learn import PlainLoop
from benchmarks.figures import Figure
from benchmarks.lab import Lab
from benchmarks.rounds import isolated, median_and_spread
from benchmarks.synthetic import labelled_vectors, made_example, made_vector, numbers_pipeline
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.models.digest import digest
from riverrun.models.ordering import in_fixed_order
from riverrun.pipeline import Pipeline
from riverrun.records.avro import parsed
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageContext
from riverrun.testing.key_value import MemoryKeyValueStore
from riverrun.testing.partial_store import MemoryPartialStore
from riverrun.testing.small_world import make_codecs
from services.catalogue import STAGES
from services.learn.core import LearnCore

_METRIC: Final[Callable[[], Any]] = metrics.LogLoss
_SLICE: Final = 250


def logistic() -> linear_model.LogisticRegression:
    """Return a logistic regression."""
    return linear_model.LogisticRegression()


def ftrl() -> linear_model.LogisticRegression:
    """Return a logistic regression that learns by FTRL-proximal."""
    return linear_model.LogisticRegression(optimizer=optim.FTRLProximal(alpha=0.05, beta=1.0, l1=0.0, l2=1.0))


def adaptive_tree() -> tree.HoeffdingAdaptiveTreeClassifier:
    """Return a tree that replaces what has become wrong."""
    return tree.HoeffdingAdaptiveTreeClassifier(seed=7)


def adaptive_forest() -> forest.ARFClassifier:
    """Return an adaptive random forest of ten trees."""
    return forest.ARFClassifier(n_models=10, seed=7)


@dataclass(frozen=True, slots=True)
class Case:
    """A model to learn, with how many features and examples (of the quick run)."""

    model: Callable[[], object]
    features: int
    examples: int


CASES: Final[Mapping[str, Case]] = {
    "logistic_regression": Case(logistic, 20, 15_000),
    "ftrl_40": Case(ftrl, 40, 6_000),
    "adaptive_tree": Case(adaptive_tree, 20, 4_000),
    "forest_10": Case(adaptive_forest, 20, 1_000),
}


def measure(lab: Lab) -> Figure:
    """Measure all four models; the figure is the worst of them."""
    scale = 1 if lab.size.name == "quick" else 4
    ratios: dict[str, list[float]] = {name: [] for name in CASES}
    speeds: dict[str, tuple[float, float]] = {}
    for _ in range(lab.size.rounds):
        for name, (ours, bare) in isolated(compare_all, scale, lab.folder).items():
            ratios[name].append(ours / bare)
            speeds[name] = ours, bare
    medians = {name: median_and_spread(values) for name, values in ratios.items()}
    worst = min(medians, key=lambda name: medians[name][0])
    details = {
        name: {"ratio": round(value, 3), "riverrun_per_s": round(speeds[name][0]), "bare_per_s": round(speeds[name][1])}
        for name, (value, _) in medians.items()
    }
    value, spread = medians[worst]
    return Figure("learn", value, spread, tuple(ratios[worst]), details={"worst": worst, **details})


def compare_all(scale: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Compare all models, one after another, with so many times the examples; return what `compare` does, by name."""
    return {name: compare(name, case.examples * scale, folder) for name, case in CASES.items()}


def compare(name: str, count: int, folder: Path) -> tuple[float, float]:
    """Learn a model on both sides; return riverrun's and the bare loop's examples a second of processor time.

    Raises
    ------
    RuntimeError
        If the models are not the same afterwards.
    """
    case = CASES[name]
    pipeline = numbers_pipeline(f"learn-{name.replace('_', '-')}", case.features, case.model)
    core, payloads = _ours(pipeline, case, count, folder)
    bare_model = case.model()
    in_fixed_order(bare_model)
    # Without logical types, as whoever wants speed would read it: a time is a number, not a datetime.
    schema = parsed(schemas_of(pipeline).vector.schema)
    plain = PlainLoop(bare_model, _METRIC(), schema, pipeline.feature_names)
    ours = bare = 0.0
    gc.collect()
    gc.freeze()
    for start in range(0, count, _SLICE):
        some = payloads[start : start + _SLICE]
        examples = [
            made_example(number, vector, label=label, score=score)
            for number, (vector, label, score) in enumerate(some, start)
        ]
        began = time.thread_time()
        for example in examples:
            core.step(example)
        between = time.thread_time()
        plain.run(some)
        ended = time.thread_time()
        core.captures.clear()
        ours, bare = ours + between - began, bare + ended - between
    if core.digests()["champion"] != digest(bare_model):
        raise RuntimeError(f"riverrun and the plain loop have not learned the same {name}")
    return count / ours, count / bare


def _ours(
    pipeline: Pipeline, case: Case, count: int, folder: Path
) -> tuple[LearnCore, list[tuple[bytes, bool, float]]]:
    """Build the stage's core as its wiring does, and examples for it."""
    ids, codecs = make_codecs(pipeline)
    context = StageContext(
        pipeline=pipeline,
        partition=0,
        partitions=1,
        codecs=codecs,
        ids=ids,
        settings=Settings(data_folder=folder / pipeline.name),
        partials=MemoryPartialStore,
        stores=lambda _: MemoryKeyValueStore(),
        chained=frozenset(),
    )
    core = cast("LearnCore", STAGES["learn"].build(context).core)
    served = random.Random(11)
    payloads = []
    for number, (values, label) in enumerate(labelled_vectors(count, case.features)):
        payloads.append((codecs.encode(made_vector(number, values)), label, served.random()))
    return core, payloads
