"""A world to break: a pipeline on real servers, producers that publish, services that are processes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from confluent_kafka import Producer

from chaos.parcels import Message
from chaos.services import STAGES, Service
from chaos.watch import Watch
from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.embedded.addresses import Addresses
from riverrun.launch.connect import connect
from riverrun.pipeline import load
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings

__all__ = ["IN_ORDER", "KIND_HEADER", "LIMIT_S", "Load", "Plan", "StuckError", "World"]

KIND_HEADER: Final = "made"
"""Header of a producer's message that tells the judge what it was made to be."""

IN_ORDER: Final = {"RIVERRUN_IDLE_LIMIT_MS": "3600000"}
"""Settings with which `ingest` waits for an empty topic however long it takes: the order of `events` then depends on
what is published and not on when, so that runs can be compared."""

LIMIT_S: Final = 240.0
"""How long anything is waited for."""
_AHEAD: Final = 400
_FLUSH_S: Final = 60.0
_SETTINGS: Final = {
    # Small transactions and slow state: there is always something between two commits, and between a commit
    # and its state, to be interrupted.
    "RIVERRUN_BATCH_LIMIT": "20",
    "RIVERRUN_STATE_INTERVAL_MS": "300",
    "RIVERRUN_OFFSETS_INTERVAL_MS": "200",
    "RIVERRUN_BACKOFF_MOST_MS": "500",
    # The machine is busy with all of this, and a drain that is cut short is a fault of its own.
    "RIVERRUN_DRAIN_LIMIT_MS": "20000",
}


class StuckError(AssertionError):
    """What was waited for did not happen, or a service ended that nobody had asked to."""


class Load(Protocol):
    """Messages to publish."""

    def take(self, number: int, /) -> Sequence[Message]:
        """Return the next messages."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a world is made of.

    Parameters
    ----------
    name
        The pipeline's name: its own on the servers.
    load
        What is published, in this order.
    partitions
        Of the producers' topics.
    per_s
        How many messages are published a second while the load is on.
    supervised
        Whether a service that ends by itself is started again, as any supervisor would.
    """

    name: str
    load: Load
    partitions: int = 1
    per_s: float = 200.0
    supervised: bool = False


class World:
    """A pipeline under test.

    Parameters
    ----------
    plan
        What it is made of.
    addresses
        Of its Kafka and Redis, running: those that the harness itself uses.
    folder
        For the pipeline file, the services' data and their logs.

    Attributes
    ----------
    restarted
        How often each service ended by itself and was started again.
    memory_mb
        The most resident memory that each service had, in MiB.
    beside
        Tells how many messages others have published.
    """

    def __init__(self, plan: Plan, addresses: Addresses, folder: Path) -> None:
        self.plan = plan
        self.addresses = addresses
        self.folder = folder
        self.file = folder / plan.name / "pipeline.py"
        self.file.parent.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("parcels_pipeline.py"), self.file)
        self.settings = Settings(data_folder=folder / "data")
        self.pipeline = load(self.file)
        self._make_topics()
        self.deployment: Deployment = connect(self.pipeline, addresses, self.settings)
        self.published = 0
        self.services: list[Service] = []
        self.restarted: dict[str, int] = {}
        self.memory_mb: dict[str, float] = {}
        self.beside: Callable[[], int] = int
        self._producer: Producer = kafka_producer(dict(addresses.kafka))
        self._owed, self._paid_at = 0.0, time.monotonic()
        self.watch = Watch(self.deployment, addresses.kafka)

    def _make_topics(self) -> None:
        log = KafkaLog(self.addresses.kafka)
        log.ensure_topics([TopicSpec(stream.topic, self.plan.partitions) for stream in self.pipeline.streams])
        log.close()

    def environment(self, settings: Mapping[str, str], addresses: Addresses | None = None) -> dict[str, str]:
        """Return what a service is told; at other addresses than the harness's if they are given."""
        where = (addresses or self.addresses).as_environment()
        return {**_SETTINGS, **where, "RIVERRUN_DATA": str(self.settings.data_folder), **settings}

    # Services.

    def stages(self, **settings: str) -> dict[str, Service]:
        """Start all stages, each by itself."""
        environment = self.environment(settings)
        return {stage: self.started(Service.stage(stage, self.file, environment, self.folder)) for stage in STAGES}

    def chain(self, name: str = "chain", stages: Sequence[str] = STAGES, **settings: str) -> Service:
        """Start stages chained in one process."""
        return self.started(Service.chain(name, self.file, self.environment(settings), self.folder, stages))

    def started(self, service: Service) -> Service:
        """Start a service of this world."""
        service.start()
        self.services.append(service)
        return service

    def drain(self, *services: Service) -> None:
        """Stop services as an operator does; each must end in order."""
        for service in services:
            self.wait(f"{service.name} at work", partial(_works, service))
        for service in services:
            service.terminate()
        for service in services:
            code = service.wait()
            if code != 0:
                raise StuckError(f"{service.name} did not drain: exit code {code}\n{service.told()}")
            self.services.remove(service)

    # Load.

    def publish(self, count: int) -> int:
        """Publish the next messages, without waiting for Kafka to take them; return how many there were."""
        messages = self.plan.load.take(count)
        for message in messages:
            topic = f"{self.plan.name}-raw.{message.stream}"
            headers: list[tuple[str, str | bytes | None]] = [(KIND_HEADER, message.kind.encode())]
            self._producer.produce(topic, message.value, message.key, headers=headers)
        self.published += len(messages)
        self._producer.poll(0)
        return len(messages)

    def feed(self) -> None:
        """Publish what is due by now, unless `ingest` is far behind."""
        now = time.monotonic()
        self._owed = min(self._owed + (now - self._paid_at) * self.plan.per_s, _AHEAD)
        self._paid_at = now
        room = _AHEAD - self.lag()["ingest"]
        count = min(int(self._owed), room)
        if count > 0:
            self._owed -= count
            self.publish(count)

    def flush(self) -> None:
        """Wait until Kafka has all that was published.

        Raises
        ------
        StuckError
            If it does not take it.
        """
        if self._producer.flush(_FLUSH_S):
            raise StuckError("Kafka did not take all messages")

    # Time.

    def wait(self, what: str, condition: Callable[[], bool], *, feed: bool = False, limit_s: float = LIMIT_S) -> None:
        """Wait for a condition on what is committed; with ``feed``, with the load on.

        Raises
        ------
        StuckError
            If a service ends meanwhile that nobody starts again, or the condition does not come true in time.
        """
        deadline = time.monotonic() + limit_s
        while True:
            self.watch.update()
            if condition():
                return
            if feed:
                self.feed()
            self._look_after()
            if time.monotonic() > deadline:
                raise self.stuck(what)

    def stuck(self, what: str) -> StuckError:
        """Return the error that something did not happen, with what the services said last."""
        return StuckError(f"{what} did not happen: lag {self.lag()}\n{self.told()}")

    def let(self, seconds: float, *, feed: bool = True) -> None:
        """Let time pass, with the load on."""
        until = time.monotonic() + seconds
        self.wait("the end of a wait", lambda: time.monotonic() >= until, feed=feed)

    def _look_after(self) -> None:
        for service in self.services:
            self.memory_mb[service.name] = max(self.memory_mb.get(service.name, 0.0), service.memory_mb)
            code = service.ended
            if code is None or service.doomed:
                continue
            if not self.plan.supervised:
                raise StuckError(f"{service.name} ended by itself with code {code}\n{self.told()}")
            self.restarted[service.name] = self.restarted.get(service.name, 0) + 1
            service.kill()
            service.start()

    def catch_up(self) -> None:
        """Wait until every stage has folded all there is."""
        self.flush()
        self.wait("the end of the load", lambda: not any(self.lag().values()))

    def rest(self) -> None:
        """Let a last chain fold what is left, and stop it: whatever ran before must have been ended.

        Raises
        ------
        StuckError
            If something still runs, or the chain does not come to an end.
        """
        if any(service.stages for service in self.services):
            raise StuckError("something still runs")
        last = self.chain("last", (*STAGES, *self.watch.drift_stages()))
        self.catch_up()
        self.drain(last)

    def lag(self) -> dict[str, int]:
        """Return how far each stage lies behind."""
        return self.watch.lag(self.published + self.beside())

    def told(self) -> str:
        """Return what the services said last."""
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
