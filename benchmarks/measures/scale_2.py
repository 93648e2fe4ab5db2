"""``scale_2``: two members of the stage that is the bottleneck, against one that has all partitions, on two cores.

The bottleneck is ``score`` with an adaptive forest of fifty trees, by far the slowest stage of such a pipeline, and one
that scales by partitions. Time on the wall. All members start together and read what was written before; the clock
runs between two counts of predictions, when everybody has long been at work and nobody has run dry. The broker and
Redis are on the same two cores, and take their part of them from both sides. A stage that is cheap beside the broker's
own work for it cannot gain as much here: the two of them had both cores before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from river import forest

from benchmarks.figures import Figure
from benchmarks.lab import Lab, append_items
from benchmarks.rounds import in_turn, isolated, median_and_spread
from benchmarks.service import await_, service, services
from benchmarks.synthetic import labelled_vectors, made_examples, made_vector, numbers_pipeline
from riverrun.pipeline import Pipeline
from riverrun.records.items import ModelVersion, Vector
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

PARTITIONS: Final = 4
_NAME: Final = "scale"
_FEATURES: Final = 10
_LEARNED: Final = 1_000
_FROM: Final = 0.3
_TO: Final = 0.8
"""Of all vectors. Members are not equally quick: later than this, one of them may have nothing left to do."""
_LOOK_S: Final = 0.25
"""Seldom: to look takes the broker's time, which is one of the members' too."""


def grown_slowly() -> forest.ARFClassifier:
    """Return River's usual forest, with five times as many trees."""
    return forest.ARFClassifier(n_models=50, seed=7)


def scoring_pipeline(name: str) -> Pipeline:
    """Return a pipeline whose model is much the slowest part of it."""
    return replace(numbers_pipeline(name, _FEATURES, grown_slowly), snapshot_every=_LEARNED)


def measure(lab: Lab) -> Figure:
    """Measure, in a lab whose topics nobody else reads."""
    vectors = 3 * lab.size.events // 5
    isolated(prepare, lab, vectors)
    sides = [lambda number: members(lab, 1, vectors), lambda number: members(lab, 2, vectors)]
    results = in_turn(sides, lab.size.rounds)
    ratios = [two / one for one, two in results]
    value, spread = median_and_spread(ratios)
    one, two = results[-1]
    details = {"one_member_per_s": round(one), "two_members_per_s": round(two), "partitions": PARTITIONS}
    return Figure("scale_2", value, spread, tuple(ratios), details=details)


def prepare(lab: Lab, vectors: int) -> None:
    """Write vectors to all partitions, and publish a forest that has learned."""
    deployment = lab.connect(scoring_pipeline(_NAME), partitions=PARTITIONS)
    deployment.ensure_topics()
    append_items(deployment, Kind.EXAMPLES, 0, islice(made_examples(deployment.wire.codecs, _FEATURES), _LEARNED))
    for partition in range(PARTITIONS):
        append_items(deployment, Kind.VECTORS, partition, islice(_vectors(partition), vectors // PARTITIONS))
    # A service, for a forest's snapshot is taken beside the stream and published when it is ready.
    with service(lab, scoring_pipeline, _NAME, ["learn"]):
        await_("the forest to be published", lambda: _published(deployment))
    deployment.log.close()


def _published(deployment: Deployment) -> bool:
    records = deployment.log.tail(deployment.topology.names[Kind.MODELS], 0, 100)
    items = [deployment.wire.item(record) for record in records]
    return any(isinstance(item, ModelVersion) and item.position == _LEARNED for item in items)


def _vectors(partition: int) -> Iterator[Vector]:
    for number, (values, _) in enumerate(labelled_vectors(1 << 30, _FEATURES, seed=partition)):
        yield made_vector(number, values)


def members(lab: Lab, count: int, vectors: int) -> float:
    """Return the predictions a second of so many members."""
    deployment = lab.connect(scoring_pipeline(_NAME), partitions=PARTITIONS)
    names = deployment.topology.names
    lab.drop_topics(names[Kind.PREDICTIONS], names[Kind.PROGRESS])
    deployment.ensure_topics()
    what = f"{count} members"
    with services(lab, scoring_pipeline, _NAME, [[["score"]]] * count):
        await_(f"{what} to be well under way", lambda: _predicted(deployment) >= _FROM * vectors, look_s=_LOOK_S)
        first, began = _predicted(deployment), time.monotonic()
        await_(f"{what} to come near the end", lambda: _predicted(deployment) >= _TO * vectors, look_s=_LOOK_S)
        last, ended = _predicted(deployment), time.monotonic()
    deployment.log.close()
    return (last - first) / (ended - began)


def _predicted(deployment: Deployment) -> int:
    """Return how many predictions there are, about: each transaction takes an offset too."""
    topic = deployment.topology.names[Kind.PREDICTIONS]
    return sum(deployment.log.high_watermark(topic, partition) for partition in range(PARTITIONS))
