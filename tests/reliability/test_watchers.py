"""What a watcher has once seen cannot be taken back, nor come twice."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import redis

from chaos.findings import Sort
from chaos.reading import read_partition
from chaos.watch import Watch
from chaos.witness import PredictionsWatcher, RedisWatcher, Witness
from chaos.world import World
from riverrun.records.topics import Kind
from riverrun.runtime.ports import Record

# The run that is watched is made by the first test that asks for it.
pytestmark = pytest.mark.timeout(300)


class _Tail:
    """Gives what it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def poll(self, timeout: float = 0.0) -> list[Record]:
        del timeout
        records, self.records = self.records, []
        return records

    def close(self) -> None:
        pass


def _prediction(position: int) -> Record:
    headers = [("riverrun-seq", b"0:%d" % position), ("riverrun-source", b"p.vectors/0/%d" % position)]
    return Record("p.predictions", 0, position, 1_000 + position, b"key", b"", headers)


@pytest.fixture
def watched(undisturbed: World, monkeypatch: pytest.MonkeyPatch) -> tuple[PredictionsWatcher, _Tail]:
    """A watcher, and what it watches."""
    watcher, tail = PredictionsWatcher(undisturbed.deployment, undisturbed.addresses.kafka), _Tail()
    watcher.close()
    monkeypatch.setattr(watcher, "_tails", [tail])
    return watcher, tail


def test_a_prediction_that_comes_twice_is_seen(watched: tuple[PredictionsWatcher, _Tail]) -> None:
    """At once, though a reader at the end might find but one."""
    watcher, tail = watched
    tail.records = [_prediction(0), _prediction(1)]
    assert watcher.look() == []
    tail.records = [_prediction(1)]
    assert [(finding.sort, finding.at_ms) for finding in watcher.look()] == [(Sort.DOUBLED, 1_001)]


def test_a_prediction_out_of_turn_is_seen(watched: tuple[PredictionsWatcher, _Tail]) -> None:
    """One whose vector lies before that of the last."""
    watcher, tail = watched
    tail.records = [_prediction(0), _prediction(2), _prediction(1)]
    assert [finding.sort for finding in watcher.look()] == [Sort.REORDERED]


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    """A client of Redis."""
    with closing(redis.Redis.from_url(redis_url)) as made:
        yield made


def _store(client: Any, position: int) -> None:
    client.hset("riverrun:{watched:0}:g:place", "here", struct.pack(">Q", position) + b"partial")


def test_an_entry_that_goes_back_is_seen(client: Any, redis_url: str) -> None:
    """Also if it was absent in between; but not what is expected of a Redis that is made to lose something."""
    watcher = RedisWatcher(redis_url, "watched")
    for position, wrong in ((5, 0), (6, 0), (6, 0), (4, 1), (4, 0)):
        _store(client, position)
        assert len(watcher.look()) == wrong
    client.delete("riverrun:{watched:0}:g:place")
    assert watcher.look() == []
    _store(client, 3)
    assert [finding.sort for finding in watcher.look()] == [Sort.WRONG]
    with watcher.blindfolded():
        _store(client, 1)
    assert watcher.look() == []
    client.delete("riverrun:{watched:0}:g:place")
    watcher.close()


def test_a_witness_sees_all_of_a_run(undisturbed: World) -> None:
    """Every prediction of a run, and Redis again and again."""
    kafka, url = undisturbed.addresses.kafka, undisturbed.addresses.redis_url
    watchers = PredictionsWatcher(undisturbed.deployment, kafka), RedisWatcher(url, undisturbed.plan.name)
    witness = Witness(*watchers)
    topic = undisturbed.deployment.topology.names[Kind.PREDICTIONS]
    made = sum(len(read_partition(kafka, topic, number)) for number in range(undisturbed.plan.partitions))
    undisturbed.wait("all predictions", lambda: watchers[0].count >= made and watchers[1].looks > 1)
    witness.close()
    assert watchers[0].count == made > 100
    assert witness.findings == []


def test_a_commit_that_is_taken_back_is_seen(undisturbed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that says less than it has said before: of its inputs, its outputs, or its time."""
    said = undisturbed.watch.latest["ingest", 0]
    first, *others = said.inputs
    earlier = [
        replace(said, inputs=(replace(first, next=first.next - 1), *others)),
        replace(said, outputs={topic: count - 1 for topic, count in said.outputs.items()}),
        replace(said, watermark=said.watermark - 1),
    ]
    watch, tail = Watch(undisturbed.deployment, undisturbed.addresses.kafka), _Tail()
    watch.close()
    monkeypatch.setattr(watch, "_tails", [tail])
    for each in (said, said, *(part for back in earlier for part in (back, said))):
        key, value = undisturbed.deployment.wire.encode_progress(each)
        tail.records.append(Record("p.progress", 0, 0, 7, key, value, ()))
    watch.update()
    assert [(finding.sort, finding.at_ms) for finding in watch.findings] == [(Sort.WRONG, 7)] * len(earlier)
