"""Measures the costs: each stage by itself on a log in memory, and Redis's own time by its statistics."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import redis

from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.in_memory import schema_ids_in_memory
from benchmarks.lab import stages
from benchmarks.scaling.costs import Costs
from examples.flights.publish import SEED
from examples.flights.source import RawMessage, flight_messages
from riverrun.adapters.redis_partials import RedisPartials
from riverrun.embedded import open_cluster
from riverrun.features import FeaturePlan, FeatureTable
from riverrun.features.table import ForeignPartial
from riverrun.records.items import Event, ForeignRead, Vector
from riverrun.records.topics import Kind
from riverrun.runtime.ports import PartialEntry
from riverrun.runtime.settings import Settings
from riverrun.runtime.worker import Worker
from riverrun.testing.key_value import MemoryKeyValueStore
from riverrun.testing.memory_log import MemoryLog
from riverrun.testing.partial_store import MemoryPartialStore
from riverrun.testing.small_world import SmallWorld, make_codecs

EVENTS: Final = 12_000
_ALL: Final = ("ingest", "features", "score", "labels", "learn")
_FOLDING: Final = _ALL[:4]
_BATCH: Final = 500
_REPEATS: Final = 20
_IDLE: Final = 200
_TRIES: Final = 3
_SPREAD: Final = 8
"""Partitions whose partials are merged."""
_IDLE_S: Final = 0.001
_NAME: Final = "in-memory"
_OUT: Final = (Kind.EVENTS, Kind.VECTORS, Kind.PREDICTIONS, Kind.EXAMPLES, Kind.PROGRESS)


def measure(bench: Path) -> Costs:
    """Measure all costs; ``bench`` is the file of figures that has what the chain does on real servers."""
    messages = list(flight_messages(schema_ids_in_memory(), SEED, EVENTS))
    apart = _World(messages)
    by_stage = {name: apart.fold([(name,)]) for name in _ALL}
    chained = _World(messages)
    chain = chained.fold([_FOLDING])
    counts = {kind: len(apart.values(kind)) for kind in _OUT}
    bytes_out = sum(len(value) for kind in _OUT for value in chained.values(kind))
    entities = _entities(chained.events())
    put_us, read_us, client_us, entity_bytes = _redis(entities.stored)
    decode_us, merge_us, merge_bytes = measure_merging(list(chained.events()))
    return Costs(
        **{f"{name}_us": took / EVENTS * 1e6 for name, took in by_stage.items()},
        chain_us=chain / EVENTS * 1e6,
        servers_us=_on_servers(bench),
        example_us=by_stage["learn"] / counts[Kind.EXAMPLES] * 1e6,
        predictions=counts[Kind.PREDICTIONS] / EVENTS,
        examples=counts[Kind.EXAMPLES] / EVENTS,
        bytes_out=bytes_out / EVENTS,
        bytes_in=sum(len(message.value) for message in messages) / EVENTS,
        puts=entities.touched / EVENTS,
        put_us=put_us,
        read_us=read_us,
        fetch_us=client_us + decode_us,
        merge_us=merge_us,
        merge_bytes=merge_bytes,
        entity_bytes=entity_bytes,
        distinct=entities.distinct,
        batch=_BATCH,
        groups=entities.groups,
    )


def _on_servers(bench: Path) -> float:
    """Return the microseconds that all five stages, chained on real servers, take for an event."""
    figures = json.loads(bench.read_text(encoding="utf-8"))["figures"]
    return 1e6 / float(figures["chained"]["details"]["riverrun_per_cpu_s"])


class _World:
    """The flights on a log in memory."""

    def __init__(self, messages: Sequence[RawMessage]) -> None:
        self._pipeline = flights_pipeline(_NAME)
        self._log = MemoryLog()
        self._folder = tempfile.TemporaryDirectory()
        settings = Settings(data_folder=Path(self._folder.name), idle_limit_ms=1)
        self._world = SmallWorld(self._pipeline, make_codecs(self._pipeline), 1, self._log, settings)
        for message in messages:
            self._log.append(message.topic, 0, message.value, key=message.key, timestamp=message.event_time_ms)

    def fold(self, chains: Sequence[Sequence[str]]) -> float:
        """Run chains until they have nothing left; return the seconds of processor time, less waiting."""
        partials = MemoryPartialStore()
        deployment = self._world.deployment(lambda: partials, lambda _: MemoryKeyValueStore())
        worker = Worker(deployment, [stages(*chain) for chain in chains])
        worker.join()
        took, idle = 0.0, 0
        while idle < _IDLE:
            began = time.thread_time()
            busy = worker.round()
            if busy:
                took += time.thread_time() - began
            idle = 0 if busy else idle + 1
            if not busy:
                time.sleep(_IDLE_S)
        worker.leave()
        return took

    def values(self, kind: Kind) -> list[bytes]:
        """Return what is in one of the pipeline's topics."""
        records = self._log.records(self._world.topology.names[kind], 0)
        return [record.value for record in records if record.value is not None]

    def events(self) -> Iterator[Event]:
        """Yield the accepted events."""
        for record in self._log.records(self._world.topology.names[Kind.EVENTS], 0):
            item = self._world.wire.item(record)
            if isinstance(item, Event):
                yield item


class _Entities:
    """What the events touch and the vectors read."""

    def __init__(self) -> None:
        self.touched = 0
        self.stored: dict[str, list[PartialEntry]] = {}
        self.distinct = 0.0
        self.groups = 0


def _entities(events: Iterator[Event]) -> _Entities:
    plan = FeaturePlan.compile(flights_pipeline(_NAME))
    table, found = FeatureTable(plan), _Entities()
    asking: list[Event] = []
    for seq, event in enumerate(events):
        table.update(event.stream, event.fields, event.time, seq)
        found.touched += sum(len(list(table.dirty(number))) for number in range(len(plan.groups)))
        table.clear_dirty()
        if event.stream == plan.predict_on:
            asking.append(event)
    found.groups = len(plan.groups)
    found.stored = {group.id: list(table.entries(number)) for number, group in enumerate(plan.groups)}
    shares = []
    rest = iter(asking)
    while len(batch := list(islice(rest, _BATCH))) == _BATCH:
        reads = sum(len({group.entity(event.fields) for event in batch} - {None}) for group in plan.groups)
        shares.append(reads / (_BATCH * len(plan.groups)))
    found.distinct = sum(shares) / len(shares)
    return found


def _redis(stored: Mapping[str, list[PartialEntry]]) -> tuple[float, float, float, float]:
    """Return what an entity takes: Redis's microseconds to write and to read it, the reader's own, and its bytes."""
    with tempfile.TemporaryDirectory() as folder, open_cluster(Path(folder)) as cluster:
        client = redis.Redis.from_url(cluster.addresses.redis_url, protocol=2)
        partials = RedisPartials.connect(cluster.addresses.redis_url, _NAME)
        partials.check()
        before = _memory(client)
        for group, entries in stored.items():
            partials.put(0, group, entries)
        entities = sum(map(len, stored.values()))
        each = (_memory(client) - before) / entities
        put = _usec(
            client,
            "fcall",
            lambda number: [
                partials.put(0, group, [entry._replace(position=entry.position + number + 1) for entry in entries])
                for group, entries in stored.items()
            ],
        )
        began = time.thread_time()
        read = _usec(
            client,
            "hmget",
            lambda number: [
                partials.read(group, [entry.entity for entry in entries], [0]) for group, entries in stored.items()
            ],
        )
        own = (time.thread_time() - began) * 1e6 / _REPEATS
        partials.close()
        client.close()
    return put / entities, read / entities, own / entities, each


def measure_merging(events: Sequence[Event]) -> tuple[float, float, float]:
    """Return what another partition's partial costs a worker.

    Returns
    -------
    tuple of float
        Microseconds to take one apart; microseconds to merge one into a vector, and write down that this was done; and
        the bytes of that.
    """
    pipeline = flights_pipeline(_NAME)
    plan = FeaturePlan.compile(pipeline)
    tables = [FeatureTable(plan) for _ in range(_SPREAD)]
    for seq, event in enumerate(events):
        tables[seq % _SPREAD].update(event.stream, event.fields, event.time, seq)
    own, others = tables[0], tables[1:]
    stored = [
        (number, other, entry)
        for other, table in enumerate(others, 1)
        for number in range(len(plan.groups))
        for entry in table.entries(number)
    ]
    held: dict[tuple[int, str], list[ForeignPartial]] = {}
    decode_us = math.inf
    for _ in range(_TRIES):
        held.clear()
        began = time.thread_time()
        for number, other, entry in stored:
            held.setdefault((number, entry.entity), []).append(own.decode(number, entry, other))
        # What else the machine does only ever adds.
        decode_us = min(decode_us, (time.thread_time() - began) / len(stored) * 1e6)
    asking = [event for event in events if event.stream == plan.predict_on][-_BATCH:]
    reads: list[ForeignRead] = []

    def find(number: int, name: str) -> Sequence[ForeignPartial]:
        found = held.get((number, name), ())
        reads.extend(ForeignRead(each.partition, plan.groups[number].id, name, each.position) for each in found)
        return found

    encode = make_codecs(pipeline)[1].encode
    times, sizes, merged = [0.0, 0.0], [0, 0], 0
    for side, foreign in ((0, None), (1, find)):
        began = time.thread_time()
        for event in asking:
            values = own.vector(event.fields, event.time, foreign)
            vector = Vector(event.id, event.key, event.time, event.seq, values, tuple(reads), event.source)
            merged += len(reads)
            reads.clear()
            sizes[side] += len(encode(vector))
        times[side] = time.thread_time() - began
    return decode_us, (times[1] - times[0]) / merged * 1e6, (sizes[1] - sizes[0]) / merged


def _usec(client: redis.Redis, command: str, act: Callable[[int], object]) -> float:
    """Return the microseconds that Redis itself has spent on a command each time that ``act`` was done."""
    client.config_resetstat()
    for number in range(_REPEATS):
        act(number)
    statistics = client.info("commandstats")
    return float(statistics[f"cmdstat_{command}"]["usec"]) / _REPEATS


def _memory(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
