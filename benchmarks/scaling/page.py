"""Writes ``docs/scaling.md``: every number in it comes from the measured costs and the simulation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.scaling.costs import Costs
from benchmarks.scaling.simulation import SECONDS, Deployment, Outcome, simulate
from benchmarks.scaling.sizing import BUSY, Prices, Sized, smallest

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
RATES: Final = (10_000, 100_000, 1_000_000)
_HOT: Final = 0.01
_STEP: Final = 1.2
_MANY: Final = 200
"""Redis shards that are no limit."""
_LOAD: Final = Deployment(rate=RATES[-1], workers=1, redis=1, learners=1, brokers=3)

_INTRODUCTION: Final = """# Scaling

What riverrun takes beyond one machine: on paper, from costs that were measured on one. This page is written by
`python -m benchmarks.scaling`; do not edit it by hand. `--measure` measures the costs anew, `--core-hour 0.03` and the
other prices change the money, `--rate 250000` prints one size more. A test holds that the page is what the simulation
gives.

The example is the year of flights: five stages, three models, {groups} groups of windowed features. One event in
{every:.0f} asks for a prediction.
"""

_MODEL: Final = """
## How it is simulated

[`benchmarks/scaling/simulation.py`](../benchmarks/scaling/simulation.py) runs a deployment for {seconds:.0f} seconds,
batch by batch. Each partition has a worker with one core, which takes what has arrived (a Poisson stream; partitions
differ by a few per cent, as those do that many keys are hashed to), reads other partitions' entities if it must,
folds for as long as the measured costs say, and commits; once a second it writes what has changed to Redis. Workers,
Redis shards, learners and brokers do one thing at a time, so that queues form where they would. The sizes below are
those in which nothing is busier than {busy:.0%}: the rest is for peaks, and for catching up after a restart.

What it leaves out: networks (a region's are assumed to be wide enough), rebalancing, and that processors differ. That a
broker appends {mb:.0f} MB/s, and that a transaction takes 8 ms of round trips, is assumed; all that is in the table of
costs was measured.
"""

_SIZES: Final = """
## Sizes

*Keyed*: every entity of a feature includes the topics' key, so that a vector needs nothing from other partitions.
*Spread*: every entity's events lie in all partitions, as in the flights example, whose key is the flight: a vector
merges the partials of all partitions. One partition a worker. Latency is that from an event's arrival to the commit.

"""

_SPREAD_NOTE: Final = """
A pipeline has one learner, and knows one Redis: more than one learner stands for as many pipelines, each with a part of
the keys and a model of its own, more than one shard for a proxy that spreads the keys. Where entities are spread, each
of *n* workers reads from *n* - 1 others: Redis's work grows with the square of the load, and what a worker merges
with the load, however many workers share it.
"""

_MONEY: Final = """
## Money

Prices are assumptions, and parameters of the program (`--help` lists them): {core} € for a core with 4 GB for an hour,
brokers of {broker} cores, {disk} € for a GB of disk and {memory} € for a GB of Redis's memory for a month,
{hours:.0f} hours of retention at {compression:.0%} of the size after compression, {replicas} replicas, {entities:.0f}
entities for each event a second.
"""

_LIMITS: Final = """
## Limits, and what to do

"""


def page(costs: Costs, prices: Prices) -> str:
    """Return the page's text."""
    parts = [
        _INTRODUCTION.format(groups=costs.groups, every=1 / costs.predictions),
        _costs(costs),
        _MODEL.format(seconds=SECONDS, busy=BUSY, mb=_LOAD.broker_mb_s),
        _SIZES,
        "\n".join(sizes(costs, prices, RATES)),
        "\n",
        _SPREAD_NOTE,
        _MONEY.format(
            core=prices.core_hour,
            broker=prices.broker_cores,
            disk=prices.disk_gb_month,
            memory=prices.memory_gb_month,
            hours=prices.retention_hours,
            compression=prices.compression,
            replicas=_LOAD.replicas,
            entities=prices.entities,
        ),
        _LIMITS,
        "\n".join(_limits(costs, prices)),
        "\n",
    ]
    return "".join(parts)


def _costs(costs: Costs) -> str:
    rows = [
        ("ingest, features, score, labels: each alone, in memory", f"{_each(costs)} µs"),
        ("the four chained, in memory", f"{costs.chain_us:.0f} µs"),
        ("all five chained, on a real Kafka and Redis", f"{costs.servers_us:.0f} µs"),
        ("one example learned by three models", f"{costs.example_us:.0f} µs"),
        ("predictions, examples by event", f"{costs.predictions:.2f}, {costs.examples:.2f}"),
        ("bytes by event: producers', riverrun's own topics", f"{costs.bytes_in:.0f}, {costs.bytes_out:.0f}"),
        ("entities changed by an event", f"{costs.puts:.1f}"),
        ("Redis's own time to write an entity, to read one", f"{costs.put_us:.2f} µs, {costs.read_us:.2f} µs"),
        ("an entity in Redis", f"{costs.entity_bytes:.0f} bytes"),
        ("a worker's time to fetch an entity of another partition, to merge it", f"{_merging(costs)} µs"),
        ("bytes that a vector has for each that was merged", f"{costs.merge_bytes:.0f}"),
        (f"reads left when {costs.batch} vectors read each entity once", f"{costs.distinct:.0%}"),
    ]
    lines = ["\n## What an event costs\n", "| processor time of one core, and bytes | |", "| --- | ---: |"]
    return "\n".join([*lines, *(f"| {what} | {value} |" for what, value in rows)]) + "\n"


def _each(costs: Costs) -> str:
    return ", ".join(f"{each:.0f}" for each in (costs.ingest_us, costs.features_us, costs.score_us, costs.labels_us))


def _merging(costs: Costs) -> str:
    return f"{costs.fetch_us:.1f} µs, {costs.merge_us:.1f}"


def sizes(costs: Costs, prices: Prices, rates: Sequence[float]) -> Iterator[str]:
    """Yield the table of sizes, line by line."""
    titles = ("events/s", "entities", "workers", "learners", "Redis shards", "brokers", "p50, p99", "cores", "€/month")
    yield f"| {' | '.join(titles)} |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for spread in (False, True):
        for rate in rates:
            wanted = replace(_LOAD, rate=rate, spread=spread)
            try:
                yield _size(smallest(costs, wanted, prices))
            except ValueError as error:
                yield f"| {rate:,.0f} | {_kind(wanted)} | {error} {'|' * (len(titles) - 2)}"


def _size(sized: Sized) -> str:
    of, came = sized.deployment, sized.outcome
    return (
        f"| {of.rate:,.0f} | {_kind(of)} | {of.workers:,} | {of.learners:,} | {of.redis:,} | {of.brokers:,} | "
        f"{came.p50_ms:.0f}, {came.p99_ms:.0f} ms | {sized.cores:,} | {round(sized.euro_month, -2):,.0f} |"
    )


def _kind(of: Deployment) -> str:
    return "spread" if of.spread else "keyed"


def _limits(costs: Costs, prices: Prices) -> Iterator[str]:
    yield "| limit | as simulated | what to do |"
    yield "| --- | --- | --- |"
    sized = smallest(costs, _LOAD, prices)
    keyed = sized.deployment
    yield _learner(costs, keyed)
    yield _hot(costs, keyed)
    yield _reads(costs, prices, keyed)
    yield _partitions(keyed, sized.outcome)


def _learner(costs: Costs, keyed: Deployment) -> str:
    most = BUSY / (costs.example_us * 1e-6)
    alone = simulate(costs, replace(keyed, learners=1))
    sampled = 0.95 * most / (keyed.rate * costs.examples)
    after = simulate(costs, replace(keyed, learners=1, sampled=sampled))
    seen = (
        f"one takes {most:,.0f} examples/s; {keyed.rate:,.0f} events/s bring {keyed.rate * costs.examples:,.0f}: "
        f"busy {alone.busy['learner']:.0%}, {_verdict(alone)}"
    )
    answer = (
        f"learn from one example in {1 / sampled:.0f} (busy {after.busy['learner']:.0%}, {_verdict(after)}); or a "
        f"pipeline for each part of the keys, with a model of its own: {keyed.learners:,} learners; or a cheaper model"
    )
    return f"| a single learner | {seen} | {answer} |"


def _hot(costs: Costs, keyed: Deployment) -> str:
    most = BUSY / (keyed.rate * costs.event_us * 1e-6)
    hot = simulate(costs, replace(keyed, hot=_HOT))
    parts = math.ceil(2 * _HOT / most)
    after = simulate(costs, replace(keyed, hot=_HOT / parts))
    seen = (
        f"a worker takes a key with {most:.2%} of {keyed.rate:,.0f} events/s; one with {_HOT:.0%}: "
        f"busy {hot.busy['worker']:.0%}, {_verdict(hot)}"
    )
    answer = (
        f"let producers add one of {parts} numbers to such a key: partials merge, so its aggregates stay whole, for "
        f"reads of Redis (busiest worker {after.busy['worker']:.0%}, {_verdict(after)}); or sum up in the producer"
    )
    return f"| a hot key | {seen} | {answer} |"


def _reads(costs: Costs, prices: Prices, keyed: Deployment) -> str:
    most = _most_spread(costs, prices)
    tried = simulate(costs, replace(keyed, spread=True, redis=_MANY))
    seen = (
        f"with spread entities no more than some {most:,.0f} events/s can be sized; {keyed.workers:,} workers and "
        f"{_MANY:,} shards with {keyed.rate:,.0f}: busiest worker {tried.busy['worker']:.0%}, {_verdict(tried)}; "
        f"a vector merges up to {costs.groups * (keyed.workers - 1):,} partials"
    )
    answer = (
        f"key the topics by the entity that most features are of: no reads, {keyed.redis:,} shards for what is "
        "written; or put a pipeline before this one that keys its topics anew; or have fewer, faster workers"
    )
    return f"| merging over partitions | {seen} | {answer} |"


def _most_spread(costs: Costs, prices: Prices) -> float:
    """Return about the greatest load, in steps of a fifth, for which there is a size though entities are spread."""
    rate = float(RATES[0])
    while True:
        try:
            smallest(costs, replace(_LOAD, rate=rate * _STEP, spread=True), prices)
        except ValueError:
            return round(rate, -3)
        rate *= _STEP


def _partitions(keyed: Deployment, came: Outcome) -> str:
    seen = f"{keyed.workers:,} partitions in every topic, a transaction at a time each; p99 {came.p99_ms:.0f} ms"
    answer = "beyond some thousands, split the pipeline by region or tenant, each part with topics of its own"
    return f"| partitions | {seen} | {answer} |"


def _verdict(came: Outcome) -> str:
    if came.keeps_up:
        return "keeps up"
    worst = max(came.behind, key=lambda name: came.behind[name])
    return f"the {worst} falls behind"
