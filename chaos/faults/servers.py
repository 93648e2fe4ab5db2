"""Faults of servers: Kafka killed, paused, restarted, without room; Redis killed, wiped, set back, stuck."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import Any, Final

import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from chaos.between_brokers import BetweenBrokers
from chaos.scene import Kind, Scene, Steps, now_ms
from chaos.services import STAGES, limit_files
from riverrun.embedded import EmbeddedKafka
from riverrun.runtime.degradations import Degradation

__all__ = ["KAFKA", "ONE_OF_THREE", "REDIS", "beside", "kafka_killed"]

_ANSWER_S: Final = 2.0
_NOWHERE: Final = "1"
"""A port at which no server listens."""


def kafka_killed(scene: Scene) -> Steps:
    """Kill the broker; it is back after some seconds."""
    scene.kafka.kill()
    yield scene.rng.uniform(0.0, 3.0)
    scene.kafka.start()


def _kafka_paused(scene: Scene) -> Steps:
    """Freeze the broker, for up to more than a session and about as long as a transaction may be open."""
    scene.kafka.pause()
    yield scene.rng.uniform(1.0, 12.0)
    scene.kafka.resume()


def _kafka_restarted(scene: Scene) -> Steps:
    """Stop the broker in order, and start it again."""
    scene.kafka.stop()
    yield scene.rng.uniform(0.0, 2.0)
    scene.kafka.start()


def _kafka_disk_full(scene: Scene) -> Steps:
    """Let none of the broker's files grow: as on a full disk, it fails to append, and gives up. Then there is room."""
    limit_files(scene.kafka.pid, 0)
    yield 1.5
    before = dict(scene.world.watch.committed)
    yield 1.5
    if scene.world.watch.committed != before:
        scene.wrong("services committed though the broker could write nothing: the fault was none")
    # A broker whose only log folder has failed ends itself, or does not answer any more; either way it must restart.
    scene.kafka.kill()
    scene.kafka.start()


def _one_lost(scene: Scene) -> Steps:
    """Kill one of three brokers; all goes on without it. It is back after some seconds."""
    node = _any_of(scene)
    node.kill()
    yield scene.rng.uniform(3.0, 8.0)
    yield from _goes_on(scene)
    node.start()


def _one_paused(scene: Scene) -> Steps:
    """Freeze one of three brokers until the others have put it out and all goes on, and let it come back."""
    node = _any_of(scene)
    node.pause()
    yield scene.rng.uniform(3.0, 8.0)
    yield from _goes_on(scene)
    node.resume()


def _one_cut_off(scene: Scene) -> Steps:
    """Cut one of three brokers off from the others, but not from the services, until all goes on without it."""
    which = scene.rng.randrange(len(scene.brokers))
    between = _between(scene)
    between.cut_off(which, [broker.pid for broker in scene.brokers])
    yield scene.rng.uniform(3.0, 8.0)
    yield from scene.until("the others to put out a broker that is cut off", lambda: _is_put_out(scene, which))
    yield from _goes_on(scene)
    between.restore()


def _is_put_out(scene: Scene, which: int) -> bool:
    """Tell whether the others no longer count a broker among them; who has just connected asks only whom it knows."""
    other = scene.brokers[which - 1]
    admin = AdminClient({**other.client_properties, "log_level": 0})
    try:
        return which + 1 not in admin.list_topics(timeout=_ANSWER_S).brokers
    except KafkaException:
        return False


def _one_slow(scene: Scene) -> Steps:
    """Let all that the others send to one of three brokers, and its answers, take far longer."""
    between = _between(scene)
    between.slow(scene.rng.randrange(len(scene.brokers)), scene.rng.uniform(0.05, 0.3))
    yield scene.rng.uniform(3.0, 6.0)
    between.restore()


def _between(scene: Scene) -> BetweenBrokers:
    if scene.between is None:
        raise LookupError("this scene has one broker")
    return scene.between


def _goes_on(scene: Scene) -> Steps:
    """Wait until every stage commits while one of three brokers is away."""
    began, watch = now_ms(), scene.world.watch
    places = [place for place in watch.latest if place[0] in STAGES]
    yield from scene.until(
        "all to go on without a broker", lambda: all(watch.committed[place] > began for place in places)
    )


def _any_of(scene: Scene) -> EmbeddedKafka:
    return scene.brokers[scene.rng.randrange(len(scene.brokers))]


def _client(scene: Scene) -> redis.Redis:
    return redis.Redis.from_url(scene.redis.url, socket_timeout=5.0)


def _redis_killed(scene: Scene) -> Steps:
    """Kill Redis; predictions go on. It is back after some seconds with what it had written."""
    scene.redis.kill()
    yield scene.rng.uniform(0.5, 4.0)
    yield from _told(scene)
    with scene.witness.partials.blindfolded():
        # What it had not yet written to its file is lost: up to a second of it.
        scene.redis.start()


def _redis_wiped(scene: Scene) -> Steps:
    """Delete every key and every function."""
    with scene.witness.partials.blindfolded(), closing(_client(scene)) as client:
        client.flushall()
        client.function_flush()
    yield 1.0


def _redis_stale(scene: Scene) -> Steps:
    """Restore Redis from a copy that is some seconds old, as from a backup."""
    data = scene.redis.folder / "data"
    copy = scene.redis.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    yield scene.rng.uniform(2.0, 5.0)
    scene.redis.kill()
    with scene.witness.partials.blindfolded():
        shutil.rmtree(data)
        copy.rename(data)
        scene.redis.start()


def _redis_stuck(scene: Scene) -> Steps:
    """Freeze Redis: connections stay open, nothing answers."""
    scene.redis.pause()
    yield scene.rng.uniform(1.0, 5.0)
    yield from _told(scene)
    scene.redis.resume()


def _redis_read_only(scene: Scene) -> Steps:
    """Make Redis the replica of a server that does not answer, as in the middle of a failover: it refuses writes."""
    with closing(_client(scene)) as client:
        _tell(client, "REPLICAOF", "127.0.0.1", _NOWHERE)
        yield scene.rng.uniform(1.0, 4.0)
        yield from _told(scene)
        _tell(client, "REPLICAOF", "NO", "ONE")


def _redis_full(scene: Scene) -> Steps:
    """Leave Redis no memory: it refuses writes, and evicts nothing."""
    with closing(_client(scene)) as client:
        client.config_set("maxmemory", "100kb")
        yield scene.rng.uniform(1.0, 4.0)
        yield from _told(scene)
        client.config_set("maxmemory", "0")


def _told(scene: Scene) -> Steps:
    yield from scene.told("features", Degradation.REDIS_AWAY)


def _tell(client: Any, *command: str) -> None:
    client.execute_command(*command)


def beside(layout: str) -> tuple[Kind, ...]:
    """Return what strikes the servers of another layout than that where stages run apart, beside what strikes there."""
    return (
        Kind(f"beside.{layout}.kafka-killed", kafka_killed),
        Kind(f"beside.{layout}.kafka-paused", _kafka_paused),
        Kind(f"beside.{layout}.redis-killed", _redis_killed),
        Kind(f"beside.{layout}.redis-wiped", _redis_wiped),
    )


KAFKA: Final = (
    Kind("kafka.killed", kafka_killed),
    Kind("kafka.paused", _kafka_paused),
    Kind("kafka.restarted", _kafka_restarted),
    Kind("kafka.disk-full", _kafka_disk_full),
)
ONE_OF_THREE: Final = (
    Kind("kafka.one-of-three-killed", _one_lost),
    Kind("kafka.one-of-three-paused", _one_paused),
    Kind("kafka.one-of-three-cut-off", _one_cut_off),
    Kind("kafka.one-of-three-slow", _one_slow),
)
REDIS: Final = (
    Kind("redis.killed", _redis_killed),
    Kind("redis.wiped", _redis_wiped),
    Kind("redis.stale", _redis_stale),
    Kind("redis.stuck", _redis_stuck),
    Kind("redis.read-only", _redis_read_only),
    Kind("redis.out-of-memory", _redis_full),
)
