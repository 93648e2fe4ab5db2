"""The smallest deployment that keeps up with a load, found by simulating it, and what it costs in money."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.scaling.costs import Costs
from benchmarks.scaling.simulation import Deployment, Outcome, simulate

BUSY: Final = 0.7
"""How busy anything may be: the rest is for peaks, and for catching up after a restart."""

_MOST: Final = 20_000
_OVERLOADED: Final = 0.97
_DOUBLE: Final = 1.6
_HOURS: Final = 730.0


@dataclass(frozen=True, slots=True)
class Prices:
    """Assumptions about money; list prices of large clouds in 2026, about, without discounts. Euro.

    Parameters
    ----------
    core_hour
        One core with 4 GB of memory, for an hour.
    broker_cores
        Cores that a broker is paid for.
    disk_gb_month
        A GB of disk for a month.
    memory_gb_month
        A GB of Redis's memory for a month, beyond what comes with its core.
    retention_hours
        How long Kafka keeps everything.
    compression
        Bytes on disk by bytes appended.
    entities
        How many entities Redis keeps for each event a second.
    """

    core_hour: float = 0.045
    broker_cores: int = 8
    disk_gb_month: float = 0.09
    memory_gb_month: float = 5.0
    retention_hours: float = 24.0
    compression: float = 0.35
    entities: float = 20.0


@dataclass(frozen=True, slots=True)
class Sized:
    """A deployment that was simulated, and what a month of it costs.

    Parameters
    ----------
    deployment
        What there is.
    outcome
        What came of it.
    cores
        Of all servers together.
    redis_gb, disk_gb
        What Redis and the brokers keep.
    euro_month
        What it costs.
    """

    deployment: Deployment
    outcome: Outcome
    cores: int
    redis_gb: float
    disk_gb: float
    euro_month: float


def smallest(costs: Costs, wanted: Deployment, prices: Prices) -> Sized:
    """Return the smallest deployment in which nothing is busier than `BUSY`; rate, spread, hot and sampled are given.

    Found by growing whatever is too busy, so it may be a little larger than it need be.

    Raises
    ------
    ValueError
        If there is none: one key, or the reads of Redis, ask for more than any number of servers can do.
    """
    found = _start(costs, wanted)
    while True:
        outcome = simulate(costs, found)
        tight = [name for name, busy in outcome.busy.items() if busy > BUSY or outcome.behind[name] >= 0.02]
        if not tight:
            return priced(costs, found, outcome, prices)
        found = replace(
            found,
            workers=_more(found.workers, outcome.busy["worker"]) if "worker" in tight else found.workers,
            redis=_more(found.redis, outcome.busy["Redis"]) if "Redis" in tight else found.redis,
            learners=_more(found.learners, outcome.busy["learner"]) if "learner" in tight else found.learners,
            brokers=_more(found.brokers, outcome.busy["broker"]) if "broker" in tight else found.brokers,
        )
        if max(found.workers, found.redis, found.learners) > _MOST:
            raise ValueError(f"no number of servers keeps up: {', '.join(tight)}")


def _start(costs: Costs, wanted: Deployment) -> Deployment:
    """Return what averages alone ask for."""
    rate = wanted.rate
    mb_s = rate * (costs.bytes_in + costs.bytes_out) * wanted.replicas / 1e6
    return replace(
        wanted,
        workers=_count(rate * costs.event_us * 1e-6),
        learners=_count(rate * costs.examples * wanted.sampled * costs.example_us * 1e-6),
        brokers=max(3, _count(mb_s / wanted.broker_mb_s)),
        redis=1,
    )


def _count(load: float) -> int:
    return max(1, math.ceil(load / BUSY))


def _more(number: int, busy: float) -> int:
    """Return how many may do where so many are so busy: what is overloaded does not tell by how much it is."""
    growth = _DOUBLE if busy > _OVERLOADED else busy / BUSY
    return max(number + 1, math.ceil(number * growth))


def priced(costs: Costs, deployment: Deployment, outcome: Outcome, prices: Prices) -> Sized:
    """Return what a deployment costs."""
    of = deployment
    cores = of.workers + of.redis + of.learners + of.brokers * prices.broker_cores
    copies = of.workers if of.spread else 1
    # An entity that is spread has a partial in each partition that has met it: at most as many as it has events.
    redis_gb = of.rate * prices.entities * min(copies, 8) * costs.entity_bytes / 1e9
    appended = of.rate * (costs.bytes_in + costs.bytes_out) * of.replicas * prices.compression
    disk_gb = appended * prices.retention_hours * 3_600 / 1e9
    euro = cores * prices.core_hour * _HOURS + disk_gb * prices.disk_gb_month + redis_gb * prices.memory_gb_month
    return Sized(deployment, outcome, cores, redis_gb, disk_gb, euro)
