"""Faults of processes: killed, ended at failpoints, asked to drain in every state, frozen and replaced."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from chaos.scene import Kind, Scene, Steps, now_ms
from chaos.services import STAGES, Service
from riverrun.launch.process import EXIT_DRAIN_EXCEEDED
from riverrun.runtime.failpoints import Failpoint

__all__ = ["CHAINED", "MEMBERS", "SERVICES", "sigterm"]

_SESSION_S: Final = 3.0
"""A little longer than a member's session."""
_TERMINATED: Final = -15
_MOST_PASSES: Final = {
    Failpoint.BEFORE_COMMIT: 6,
    Failpoint.AFTER_COMMIT: 6,
    Failpoint.BEFORE_STATE: 2,
    # Four stages have state: three gaps between them, four restores.
    Failpoint.BETWEEN_STATES: 3,
    Failpoint.BEFORE_POINTER: 1,
    Failpoint.IN_RESTORE: 4,
    Failpoint.AFTER_RESTORE: 1,
}
"""How often a point may be passed before the end: each within a few seconds of a start."""


def _kill(stages: Sequence[str], scene: Scene) -> Steps:
    """End the processes of some stages at once, and start them again."""
    services = _of(stages, scene)
    for service in services:
        service.kill()
    for service in services:
        service.start()
    yield 0.0


def _of(stages: Sequence[str], scene: Scene) -> list[Service]:
    return [service for service in scene.services.values() if set(stages) & set(service.stages)]


def sigterm(stage: str, scene: Scene) -> Steps:
    """Ask a process at work to drain, and start it again."""
    service = scene.running(stage)
    yield from scene.until(f"{service.name} at work", lambda: service.works)
    yield scene.rng.uniform(0.0, 1.0)
    yield from scene.drain(service)
    service.start()


def _sigterm_starting(scene: Scene) -> Steps:
    """Ask a process to drain that has only begun to start: it loads, joins or restores."""
    service = next(iter(scene.services.values()))
    service.kill()
    service.start()
    yield scene.rng.uniform(0.05, 4.0)
    # Before its handlers are set the signal ends it as any program.
    yield from scene.drain(service, (0, _TERMINATED))
    service.start()


def _sigterm_idle(scene: Scene) -> Steps:
    """Ask a process to drain that has nothing to do."""
    service = next(iter(scene.services.values()))
    scene.world.let(1.5, feed=False)
    yield from scene.drain(service)
    service.start()
    yield 0.0


def _sigterm_without_redis(scene: Scene) -> Steps:
    """Ask a process to drain while Redis is away: what was to be stored there is left to the next start."""
    service = next(iter(scene.services.values()))
    scene.redis.kill()
    yield 1.0
    yield from scene.drain(service)
    scene.redis.start()
    service.start()


def _sigterm_without_kafka(scene: Scene) -> Steps:
    """Ask a process to drain while Kafka is away: it may have to be ended at its limit, which loses nothing."""
    service = next(iter(scene.services.values()))
    scene.kafka.kill()
    yield 0.5
    yield from scene.drain(service, (0, EXIT_DRAIN_EXCEEDED))
    scene.kafka.start()
    service.start()


def _die_at(point: Failpoint, scene: Scene) -> Steps:
    """Let a process end itself at a failpoint, and start it again without."""
    yield from scene.die_at(next(iter(scene.services.values())), point, scene.rng.randint(1, _MOST_PASSES[point]))
    yield 0.0


def _moved(scene: Scene) -> Steps:
    """Move all stages into one chain and, after a while, apart again: nothing is lost or repeated by it."""
    for service in scene.services.values():
        yield from scene.until(f"{service.name} at work", partial(_works, service))
        yield from scene.drain(service)
        scene.world.services.remove(service)
    chain = scene.world.chain("moved")
    yield from scene.until("the chain at work", lambda: chain.works)
    yield scene.rng.uniform(2.0, 5.0)
    yield from scene.drain(chain)
    scene.world.services.remove(chain)
    for service in scene.services.values():
        scene.world.started(service)


def _works(service: Service) -> bool:
    return service.works


def _zombie(scene: Scene) -> Steps:
    """Freeze a member past its session, let others take over, and let it go on as if nothing had been."""
    names = sorted(scene.services)
    frozen = scene.services[scene.rng.choice(names)]
    yield from scene.until(f"{frozen.name} at work", partial(_works, frozen))
    # Long enough to share the partitions out, if others have just come or gone.
    yield 2.0
    frozen.freeze()
    began = now_ms()
    watch = scene.world.watch
    heads = [place for place in watch.latest if place[0] == STAGES[0]]
    # What it had in hand may have been committed by the broker after it froze: two commits of its successor are sure.
    yield _SESSION_S
    yield from scene.until(
        "a successor on every partition", lambda: all(watch.committed[place] > began + 500 for place in heads)
    )
    yield scene.rng.uniform(0.0, 1.0)
    frozen.thaw()


def _join(scene: Scene) -> Steps:
    """Let another member join and work for some seconds, then leave in order."""
    joining = scene.world.chain("joining")
    yield scene.rng.uniform(4.0, 8.0)
    yield from scene.drain(joining, (0, _TERMINATED))
    scene.world.services.remove(joining)


def _leave(scene: Scene) -> Steps:
    """Let a member leave in order, and come back after a while."""
    service = scene.services[scene.rng.choice(sorted(scene.services))]
    yield from scene.until(f"{service.name} at work", lambda: service.works)
    yield from scene.drain(service)
    scene.world.services.remove(service)
    yield scene.rng.uniform(1.0, 4.0)
    scene.world.started(service)


def _kill_member(scene: Scene) -> Steps:
    """Kill a member, and start it again when the others have its partitions."""
    service = scene.services[scene.rng.choice(sorted(scene.services))]
    service.kill()
    yield scene.rng.uniform(0.0, 4.0)
    service.start()


SERVICES: Final = (
    *(Kind(f"kill.{stage}", partial(_kill, (stage,)), (stage,)) for stage in STAGES),
    Kind("kill.all", partial(_kill, STAGES)),
    *(Kind(f"sigterm.{stage}", partial(sigterm, stage), (stage,)) for stage in STAGES),
    Kind("stages.moved", _moved),
)
"""For services that run apart."""

CHAINED: Final = (
    Kind("kill.chain", partial(_kill, STAGES)),
    *(Kind(f"failpoint.{point}", partial(_die_at, point)) for point in Failpoint),
    Kind("sigterm.starting", _sigterm_starting),
    Kind("sigterm.working", partial(sigterm, STAGES[0])),
    Kind("sigterm.idle", _sigterm_idle),
    Kind("sigterm.redis-away", _sigterm_without_redis),
    Kind("sigterm.kafka-away", _sigterm_without_kafka),
)
"""For a chain in one process."""

MEMBERS: Final = (
    Kind("zombie", _zombie),
    Kind("member.joins", _join),
    Kind("member.leaves", _leave),
    Kind("member.killed", _kill_member),
)
"""For members that share the partitions."""
