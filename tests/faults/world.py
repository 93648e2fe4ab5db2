"""A world to break: a pipeline on real servers, producers that publish, services that are processes."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Producer

from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.embedded import EmbeddedCluster
from riverrun.embedded.addresses import KAFKA_OPTIONS
from riverrun.launch.connect import connect
from riverrun.launch.failpoint import FAILPOINT
from riverrun.pipeline import load
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.failpoints import Failpoint
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings
from tests.faults.parcels import Message
from tests.faults.services import STAGES, Service
from tests.faults.watch import Watch

__all__ = ["IN_ORDER", "KIND_HEADER", "Plan", "World"]

KIND_HEADER: Final = "made"
"""Header of a producer's message that tells the judge what it was made to be."""

IN_ORDER: Final = {"RIVERRUN_IDLE_LIMIT_MS": "3600000"}
"""Settings with which `ingest` waits for an empty topic however long it takes: the order of `events` then depends on
what is published and not on when, so that runs can be compared."""

_LIMIT_S: Final = 90.0
_AHEAD: Final = 400
_SLICE: Final = 50
_FLUSH_S: Final = 60.0
_SETTINGS: Final = {
    # Small transactions and slow state: there is always something between two commits, and between a commit
    # and its state, to be interrupted.
    "RIVERRUN_BATCH_LIMIT": "20",
    "RIVERRUN_STATE_INTERVAL_MS": "300",
    "RIVERRUN_OFFSETS_INTERVAL_MS": "200",
    "RIVERRUN_BACKOFF_MOST_MS": "500",
}

_SHORT_SESSION: Final = {"session.timeout.ms": 2_000, "heartbeat.interval.ms": 500}
"""librdkafka's properties: whoever starts after a kill waits until the dead member's session is over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a world is made of.

    Parameters
    ----------
    name
        The pipeline's name: its own on the servers.
    messages
        What is published, in this order.
    partitions
        Of the producers' topics.
    """

    name: str
    messages: Sequence[Message]
    partitions: int = 1


class World:
    """A pipeline under test.

    Parameters
    ----------
    plan
        What it is made of.
    cluster
        Its Kafka and Redis, running.
    folder
        For the pipeline file, the services' data and their logs.
    """

    def __init__(self, plan: Plan, cluster: EmbeddedCluster, folder: Path) -> None:
        self.plan = plan
        self.cluster = cluster
        self.folder = folder
        self.file = folder / plan.name / "pipeline.py"
        self.file.parent.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("parcels_pipeline.py"), self.file)
        self.settings = Settings(data_folder=folder / "data")
        self.pipeline = load(self.file)
        self._make_topics()
        self.deployment: Deployment = connect(self.pipeline, cluster.addresses, self.settings)
        self.published = 0
        self.services: list[Service] = []
        self._producer: Producer = kafka_producer(dict(cluster.addresses.kafka))
        self.watch = Watch(self.deployment)

    def _make_topics(self) -> None:
        log = KafkaLog(self.cluster.addresses.kafka)
        log.ensure_topics([TopicSpec(stream.topic, self.plan.partitions) for stream in self.pipeline.streams])
        log.close()

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        addresses = self.cluster.addresses.as_environment()
        options = {**json.loads(addresses.get(KAFKA_OPTIONS, "{}")), **_SHORT_SESSION}
        return {
            **_SETTINGS,
            **addresses,
            KAFKA_OPTIONS: json.dumps(options),
            "RIVERRUN_DATA": str(self.settings.data_folder),
            **settings,
        }

    # Services.

    def stages(self, **settings: str) -> dict[str, Service]:
        """Start all stages, each by itself."""
        environment = self._environment(settings)
        return {stage: self._started(Service.stage(stage, self.file, environment, self.folder)) for stage in STAGES}

    def chain(self, name: str = "chain", stages: Sequence[str] = STAGES, **settings: str) -> Service:
        """Start stages chained in one process."""
        return self._started(Service.chain(name, self.file, self._environment(settings), self.folder, stages))

    def die_at(self, point: Failpoint, count: int, **settings: str) -> None:
        """Run everything chained, and publish, until the process ends itself at a point."""
        environment = {**self._environment(settings), FAILPOINT: f"{point}:{count}"}
        service = Service.chain("dying", self.file, environment, self.folder)
        service.start()
        self.wait(f"death at {point}", lambda: service.ended is not None, feed=True)
        assert service.ended == -signal.SIGKILL, service.told()

    def _started(self, service: Service) -> Service:
        service.start()
        self.services.append(service)
        return service

    def drain(self, *services: Service) -> None:
        """Stop services as an operator does; each must end in order, within its own limit."""
        for service in services:
            self.wait(f"{service.name} at work", partial(_works, service))
        for service in services:
            service.terminate()
        for service in services:
            code = service.wait()
            assert code == 0, f"{service.name} did not drain: exit code {code}\n{service.told()}"
            self.services.remove(service)

    # Load.

    def publish(self, count: int) -> None:
        """Publish the next messages, without waiting for Kafka to take them."""
        for message in self.plan.messages[self.published : self.published + count]:
            topic = f"{self.plan.name}-raw.{message.stream}"
            self._producer.produce(topic, message.value, message.key, headers=[(KIND_HEADER, message.kind.encode())])
            self.published += 1
        self._producer.poll(0)

    def publish_all(self) -> None:
        """Publish what is left and wait until Kafka has it."""
        self.publish(len(self.plan.messages))
        assert self._producer.flush(_FLUSH_S) == 0, "Kafka did not take all messages"

    # Time.

    def wait(self, what: str, condition: Callable[[], bool], *, feed: bool = False) -> None:
        """Wait for a condition on what is committed; with ``feed``, publish meanwhile, never far ahead.

        Raises
        ------
        AssertionError
            If a service ends meanwhile, or the condition does not come true in a minute or so.
        """
        deadline = time.monotonic() + _LIMIT_S
        while True:
            self.watch.update()
            if condition():
                return
            if feed and self.published - self.watch.folded("ingest") < _AHEAD:
                self.publish(_SLICE)
            dead = [service.name for service in self.services if service.ended is not None]
            assert not dead, f"while waiting for {what}, {dead} ended by themselves\n{self.told()}"
            assert time.monotonic() < deadline, f"{what} did not happen: lag {self.lag()}\n{self.told()}"

    def reach(self, stage: str, share: float, *, feed: bool = False) -> None:
        """Wait until a stage has folded this share of what the whole load gives it."""
        goal = int(share * self.due(stage))
        self.wait(f"{stage} at {goal}", lambda: self.watch.folded(stage) >= goal, feed=feed)

    def due(self, stage: str) -> int:
        """Return about how many records a stage will have taken in at the end."""
        events = sum(message.kind == "valid" for message in self.plan.messages)
        vectors = sum(message.kind == "valid" and message.stream == "shipped" for message in self.plan.messages)
        return {
            "ingest": len(self.plan.messages),
            "features": events,
            "score": vectors,
            "labels": events + vectors,
            "learn": int(vectors * 0.65),
        }[stage]

    def catch_up(self) -> None:
        """Publish what is left; wait until every stage has folded all there is."""
        self.publish_all()
        self.wait("the end of the load", lambda: not any(self.lag().values()))

    def finish(self) -> None:
        """Let a last chain fold the rest, and stop it: whatever ran before must have been ended."""
        assert not self.services, "something still runs"
        self.publish_all()
        last = self.chain("last")
        self.catch_up()
        self.drain(last)

    def lag(self) -> dict[str, int]:
        """Return how far each stage lies behind."""
        return self.watch.lag(self.published)

    def predictions(self) -> int:
        """Return how many predictions are committed."""
        return self.watch.made("score", Kind.PREDICTIONS)

    def told(self) -> str:
        """Return what the services said last, and what was committed."""
        return "\n".join(service.told() for service in self.services)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End everything at once."""
        for service in self.services:
            service.kill()
        self.watch.close()
        self.deployment.log.close()


def _works(service: Service) -> bool:
    return service.works
