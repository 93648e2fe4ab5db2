"""``scale_2``: two members that share the partitions, against one that has them all, on two cores.

Time on the wall. The stages are those that scale by partitions (ingest, features, score and labels, chained), on the
flights over four partitions, aggregates of all partitions merged. All members start together and read what was
published before; the clock runs between two counts of predictions, when everybody has long been at work and nobody
has run dry. The broker and Redis are on the same two cores, and take their part of them from both sides.
"""

from __future__ import annotations

import contextlib
import time
from typing import Final

from benchmarks.figures import Figure
from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.flights import publish_flights
from benchmarks.lab import Lab
from benchmarks.rounds import in_turn, isolated, median_and_spread
from benchmarks.service import await_, service
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

PARTITIONS: Final = 4
_CHAIN: Final = ("ingest", "features", "score", "labels")
_FROM: Final = 0.3
_TO: Final = 0.85
_PREDICTED_SHARE: Final = 0.32
"""How many of the published messages are announcements, about; those of the year's first days."""


def measure(lab: Lab) -> Figure:
    """Measure, in a lab whose topics nobody else reads."""
    events = 3 * lab.size.events // 2
    isolated(publish_flights, lab, events, PARTITIONS)
    results = in_turn(
        [
            lambda number: members(lab, f"scale-one-{number}", 1, events),
            lambda number: members(lab, f"scale-two-{number}", 2, events),
        ],
        max(2, lab.size.rounds - 1),
    )
    ratios = [two / one for one, two in results]
    value, spread = median_and_spread(ratios)
    one, two = results[-1]
    details = {"one_member_per_s": round(one), "two_members_per_s": round(two), "partitions": PARTITIONS}
    return Figure("scale_2", value, spread, tuple(ratios), details=details)


def members(lab: Lab, name: str, count: int, events: int) -> float:
    """Return the events a second of so many members."""
    deployment = lab.connect(flights_pipeline(name), partitions=PARTITIONS)
    deployment.ensure_topics()
    wanted = events * _PREDICTED_SHARE
    with contextlib.ExitStack() as running:
        for _ in range(count):
            running.enter_context(service(lab, flights_pipeline, name, _CHAIN))
        await_(f"{name} to be well under way", lambda: _predicted(deployment) >= _FROM * wanted)
        first, began = _predicted(deployment), time.monotonic()
        await_(f"{name} to come near the end", lambda: _predicted(deployment) >= _TO * wanted)
        last, ended = _predicted(deployment), time.monotonic()
    deployment.log.close()
    return (last - first) / _PREDICTED_SHARE / (ended - began)


def _predicted(deployment: Deployment) -> int:
    """Return how many predictions there are, about: each transaction takes an offset too."""
    topic = deployment.topology.names[Kind.PREDICTIONS]
    return sum(deployment.log.high_watermark(topic, partition) for partition in range(PARTITIONS))
