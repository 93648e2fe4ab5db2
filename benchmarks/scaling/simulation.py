"""A deployment of any size, simulated: workers, Redis shards, learners and brokers as queues, fed by measured costs.

What happens is simulated by batches, as riverrun works: a worker takes what has arrived in its partition, reads other
partitions' entities from Redis, folds, commits to a broker, and once a second writes what has changed to Redis; its
examples go to a learner. Every server has one core and takes what it is asked for in turn. Arrivals are random, by a
fixed seed, so that the same deployment gives the same figures every time.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.scaling.costs import Costs

SECONDS: Final = 3.0
_WARM_UP: Final = 1.0
_TURN_S: Final = 0.02
"""How long a fetch waits for records: so often, at most, a worker begins a batch."""
_SLICE_S: Final = 0.2
"""Time that one transaction may take to fold, as `Settings.slice_ms` has it."""
_STATE_S: Final = 1.0
"""How often state is written, as `Settings.state_interval_ms` has it."""
_TOLERATED_S: Final = 0.6
"""For so long records may wait, or a server be asked ahead, without being behind."""
_COMMIT_S: Final = 0.008
"""A transaction's round trips to three replicas in one region: assumed."""
_COMMIT_CPU_S: Final = 0.0006
_SPREAD: Final = 0.03
"""How much partitions differ that many keys are hashed to."""
_SEED: Final = 20_130_101


@dataclass(frozen=True, slots=True)
class Deployment:
    """How much there is of everything.

    Parameters
    ----------
    rate
        Source events a second.
    workers
        Partitions, each with a worker of one core.
    redis, learners, brokers
        Redis shards and learners, of one core each, and Kafka brokers.
    spread
        Whether every entity's events lie in all partitions, so that vectors merge all of them; else entities include
        the topics' key, and no vector reads Redis.
    hot
        The share of all events that have one and the same key.
    sampled
        The share of the examples that are learned.
    broker_mb_s
        What a broker appends in a second, of its own and others' partitions, in MB: assumed.
    replicas
        Copies of everything that Kafka keeps.
    """

    rate: float
    workers: int
    redis: int
    learners: int
    brokers: int
    spread: bool = False
    hot: float = 0.0
    sampled: float = 1.0
    broker_mb_s: float = 60.0
    replicas: int = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Parameters
    ----------
    busy
        Share of the time that the busiest worker, Redis shard, learner and broker was at work, by name.
    behind
        The share of what arrived that had not been folded, or learned, in time at the end, by name of who should have.
    p50_ms, p99_ms
        From an event's arrival until the commit of what follows from it. Milliseconds.
    """

    busy: dict[str, float]
    behind: dict[str, float]
    p50_ms: float
    p99_ms: float

    @property
    def keeps_up(self) -> bool:
        """Whether nothing grows for ever."""
        return all(share < 0.02 for share in self.behind.values())


@dataclass(slots=True)
class _Server:
    """Does one thing at a time, in the order in which it was asked to."""

    free_at: float = 0.0
    worked: float = 0.0

    def ask(self, now: float, seconds: float) -> float:
        """Return when it will be done."""
        self.free_at = max(self.free_at, now) + seconds
        if self.free_at >= _WARM_UP:
            self.worked += seconds
        return self.free_at

    def busy(self) -> float:
        """Return the share of the time that it was at work, 1 at most."""
        return min(1.0, self.worked / (SECONDS - _WARM_UP))


@dataclass(slots=True)
class _Partition:
    """A partition and its worker."""

    rate: float
    seen: float = 0.0
    waiting: float = 0.0
    began: float = 0.0
    batch: float = 0.0
    age: float = 0.0
    changed: float = 0.0
    state_at: float = 0.0
    cpu: _Server = field(default_factory=_Server)


def simulate(costs: Costs, deployment: Deployment) -> Outcome:
    """Run a deployment for some seconds."""
    return _Run(costs, deployment).run()


class _Run:
    def __init__(self, costs: Costs, deployment: Deployment) -> None:
        self._costs = costs
        self._of = deployment
        self._rng = random.Random(_SEED)
        self._partitions = [_Partition(rate, state_at=self._rng.random() * _STATE_S) for rate in self._rates()]
        self._redis = [_Server() for _ in range(deployment.redis)]
        self._learners = [_Server() for _ in range(deployment.learners)]
        self._brokers = [_Server() for _ in range(deployment.brokers)]
        self._latencies: list[tuple[float, float]] = []
        # Reads of n vectors grow as a power of n, since some entities are met again and again.
        self._power = 1.0 + math.log(costs.distinct) / math.log(costs.batch)

    def _rates(self) -> list[float]:
        of = self._of
        even = of.rate * (1.0 - of.hot) / of.workers
        rates = [even * max(0.5, self._rng.gauss(1.0, _SPREAD)) for _ in range(of.workers)]
        scale = of.rate * (1.0 - of.hot) / sum(rates)
        rates = [rate * scale for rate in rates]
        rates[0] += of.rate * of.hot
        return rates

    def run(self) -> Outcome:
        """Simulate until the time is over."""
        steps = (self._take, self._fold, self._commit, self._end)
        turns = [(self._rng.random() * _SLICE_S, number, 0) for number in range(len(self._partitions))]
        heapq.heapify(turns)
        while turns:
            now, number, step = heapq.heappop(turns)
            if now < SECONDS:
                # Each step asks its server when its time has come, so that a server's queue is in order of time.
                heapq.heappush(turns, (steps[step](now, number), number, (step + 1) % len(steps)))
        return self._outcome()

    def _take(self, now: float, number: int) -> float:
        """Let a worker take what has arrived, and read what it needs for it; return when it has that."""
        partition, costs = self._partitions[number], self._costs
        expected = partition.rate * (now - partition.seen)
        partition.waiting += max(0.0, self._rng.gauss(expected, math.sqrt(expected)))
        partition.age = partition.waiting / max(partition.rate, 1e-9)
        partition.seen = partition.began = now
        partition.batch = min(partition.waiting, _SLICE_S / (costs.event_us * 1e-6))
        partition.waiting -= partition.batch
        return self._read(now, partition.batch * costs.predictions)

    def _fold(self, now: float, number: int) -> float:
        partition, costs = self._partitions[number], self._costs
        took_us = partition.batch * costs.event_us
        if self._of.spread:
            vectors, others = partition.batch * costs.predictions, self._of.workers - 1
            took_us += self._distinct(vectors) * others * costs.fetch_us
            took_us += vectors * costs.groups * others * costs.merge_us
        return partition.cpu.ask(now, took_us * 1e-6 + _COMMIT_CPU_S)

    def _commit(self, now: float, number: int) -> float:
        return max(now + _COMMIT_S, self._append(now, number, self._partitions[number].batch))

    def _distinct(self, vectors: float) -> float:
        """Return how many entities a batch's vectors are made of, each counted once."""
        return self._costs.groups * vectors**self._power if vectors >= 1.0 else self._costs.groups * vectors

    def _end(self, now: float, number: int) -> float:
        """Note what was committed, hand on the examples, write the state now and then; return when to go on."""
        partition = self._partitions[number]
        if partition.began >= _WARM_UP and partition.batch >= 1.0:
            # The batch's middle stands for it: half of what waited then had waited for longer.
            self._latencies.append((now - partition.began + partition.age / 2, partition.batch))
        self._learn(now, number, partition.batch)
        partition.changed += partition.batch
        done = self._write(now, partition) if now >= partition.state_at else now
        return max(done, partition.began + _TURN_S)

    def _read(self, now: float, vectors: float) -> float:
        """Read the entities of a batch's vectors from all other partitions; return when all have answered."""
        if not self._of.spread or vectors < 1.0:
            return now
        share = self._distinct(vectors) * (self._of.workers - 1) / len(self._redis)
        return max(shard.ask(now, share * self._costs.read_us * 1e-6) for shard in self._redis)

    def _write(self, now: float, partition: _Partition) -> float:
        """Write what has changed, each entity once; a partition's entities are all in one shard."""
        entities = self._costs.puts * partition.changed**self._power
        shard = self._redis[self._rng.randrange(len(self._redis))]
        partition.changed = 0.0
        partition.state_at = now + _STATE_S
        return shard.ask(now, entities * self._costs.put_us * 1e-6)

    def _append(self, now: float, number: int, events: float) -> float:
        of, costs = self._of, self._costs
        mb = events * (costs.bytes_out + costs.bytes_in) * of.replicas / 1e6
        if of.spread:
            # A vector is in `vectors`, in its prediction and in its example.
            copies = 2.0 * costs.predictions + costs.examples
            mb += events * copies * costs.groups * (of.workers - 1) * costs.merge_bytes * of.replicas / 1e6
        return self._brokers[number % len(self._brokers)].ask(now, mb / of.broker_mb_s)

    def _learn(self, now: float, number: int, events: float) -> None:
        examples = events * self._costs.examples * self._of.sampled
        self._learners[number % len(self._learners)].ask(now, examples * self._costs.example_us * 1e-6)

    def _outcome(self) -> Outcome:
        servers = {
            "worker": [partition.cpu for partition in self._partitions],
            "Redis": self._redis,
            "learner": self._learners,
            "broker": self._brokers,
        }
        late = {name: _late(each) for name, each in servers.items() if name != "worker"}
        waiting = max(each.waiting / each.rate for each in self._partitions)
        p50, p99 = (_percentile(self._latencies, share) * 1e3 for share in (0.5, 0.99))
        busy = {name: max(server.busy() for server in each) for name, each in servers.items()}
        return Outcome(busy, {"worker": max(0.0, waiting - _TOLERATED_S) / SECONDS, **late}, p50, p99)


def _late(servers: Sequence[_Server]) -> float:
    """Return by how much of the time the latest server is behind."""
    return max(max(0.0, server.free_at - SECONDS - _TOLERATED_S) / SECONDS for server in servers)


def _percentile(weighted: Sequence[tuple[float, float]], share: float) -> float:
    """Return a percentile of values that stand for so many events each."""
    ordered = sorted(weighted)
    wanted = share * sum(weight for _, weight in ordered)
    for value, weight in ordered:
        wanted -= weight
        if wanted <= 0:
            return value
    return ordered[-1][0] if ordered else 0.0
