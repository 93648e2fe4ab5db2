"""A scene: a world with its servers, the services that run in it, and who watches; what faults act upon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chaos.between_brokers import BetweenBrokers
from chaos.caller import Caller
from chaos.findings import Finding, Sort
from chaos.proxies import KafkaProxy, Proxy
from chaos.receiver import Receiver
from chaos.services import STAGES, Service
from chaos.witness import Witness
from chaos.world import LIMIT_S, World
from riverrun.embedded import EmbeddedKafka, EmbeddedRedis
from riverrun.launch.failpoint import FAILPOINT
from riverrun.runtime.degradations import Degradation
from riverrun.runtime.failpoints import Failpoint

__all__ = ["Awaited", "Kind", "Run", "Scene", "Steps", "now_ms"]


_SILENT_MS: Final = 20_000
_DEATH_LIMIT_S: Final = 120.0
_KILLED: Final = -9


def now_ms() -> int:
    """Return the time, in milliseconds since the epoch, as the servers have it."""
    return int(time.time() * 1000)


@dataclass(slots=True)
class Scene:
    """What a fault finds.

    Parameters
    ----------
    world
        The pipeline, with the load on.
    brokers, redis
        Its servers.
    services
        By name.
    witness
        Who watches.
    rng
        Decides when and how.
    kafka_proxies, redis_proxy
        Before the servers, for each service by name, where there are any.
    between
        The ways between brokers, where there are several.
    receiver
        Who alerts are delivered to; nobody tells it any in most scenes.
    caller
        Who publishes through the gateway; nobody does in most scenes.
    findings
        What a fault's own check found to be wrong.
    """

    world: World
    brokers: Sequence[EmbeddedKafka]
    redis: EmbeddedRedis
    services: dict[str, Service]
    witness: Witness
    rng: random.Random
    kafka_proxies: Mapping[str, KafkaProxy] = field(default_factory=dict)
    redis_proxy: Proxy | None = None
    between: BetweenBrokers | None = None
    receiver: Receiver = field(default_factory=lambda: Receiver(0))
    caller: Caller | None = None
    findings: list[Finding] = field(default_factory=list)

    def accepted(self) -> int:
        """Return how many events the gateway has accepted."""
        return 0 if self.caller is None else self.caller.accepted

    def taken(self) -> int:
        """Return how many alerts were delivered."""
        return self.receiver.alerts

    @property
    def kafka(self) -> EmbeddedKafka:
        """The only broker, or the first."""
        return self.brokers[0]

    def running(self, stage: str) -> Service:
        """Return a service that runs a stage."""
        return next(service for service in self.services.values() if stage in service.stages)

    def wrong(self, text: str) -> None:
        """Note that something is wrong now."""
        self.findings.append(Finding(Sort.WRONG, text, now_ms()))

    def drain(self, service: Service, codes: Sequence[int] = (0,)) -> Steps:
        """Ask a service to drain, as an operator does, and wait for its end; the exit code must be one of these."""
        service.terminate()
        yield from self.until(f"the end of {service.name}", lambda: service.ended is not None)
        code = service.wait()
        if code not in codes:
            self.wrong(f"{service.name}, asked to drain, ended with {code}\n{service.told()}")

    def die_at(self, service: Service, point: Failpoint, passes: int) -> Steps:
        """Let a service end itself at a failpoint, when it has passed it so often, and start it again without."""
        if service.works:
            # A member that leaves in order is not waited for: the next begins at once.
            yield from self.drain(service)
        else:
            service.kill()
        service.start(**{FAILPOINT: f"{point}:{passes}"})
        service.doomed = True
        yield from self.until(f"death at {point}", lambda: service.ended is not None, _DEATH_LIMIT_S)
        code = service.wait()
        if code != _KILLED:
            self.wrong(f"{service.name} was to die at {point}, and ended with {code}\n{service.told()}")
        service.start()

    def told(self, stage: str, what: Degradation) -> Steps:
        """Wait until a stage says in its commit records that it is degraded: a fault lasts until it is told.

        One that another fault keeps from committing cannot say it there, and is not waited for.
        """
        began, watch = now_ms(), self.world.watch

        def settled() -> bool:
            if what in watch.degraded(stage):
                return True
            return now_ms() - began > _SILENT_MS and not watch.committed_since(stage, began)

        yield from self.until(f"{stage} to say {what}", settled)

    def until(self, what: str, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> Steps:
        """Wait for something, with the load on, while other faults that strike at the same time go on."""
        yield Awaited(what, condition, limit_s)

    def carry_out(self, steps: Steps) -> None:
        """Take steps while nothing strikes, with the load on."""
        for step in steps:
            if isinstance(step, Awaited):
                self.world.wait(step.what, step.condition, feed=True, limit_s=step.limit_s)
            else:
                self.world.let(step)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a fault waits for before it goes on.

    Parameters
    ----------
    what
        In words.
    condition
        Tells whether it is there.
    limit_s
        After how many seconds it is not waited for any more, and the scene breaks off.
    """

    what: str
    condition: Callable[[], bool]
    limit_s: float


Steps = Iterator[float | Awaited]
"""A fault's steps: after each it lets so many seconds pass, or waits for something, with the load on."""

Run = Callable[[Scene], Steps]
"""Injects a fault and mends it, step by step: it never waits by itself, for another may have to go on meanwhile."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Parameters
    ----------
    name
        In reports.
    run
        Injects and mends it.
    hits
        The stages that must commit again afterwards.
    again
        What must rise again afterwards as well, if anything.
    """

    name: str
    run: Run
    hits: tuple[str, ...] = STAGES
    again: Callable[[Scene], int] | None = None
