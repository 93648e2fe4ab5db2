"""Faults of the services at the edges: drift, the gateway, and the alerts, whose receiver may be down or deaf."""

from __future__ import annotations

import os
from functools import partial
from typing import Final

from chaos.faults.network import cut_off
from chaos.faults.processes import sigterm
from chaos.faults.servers import kafka_killed
from chaos.scene import Kind, Scene, Steps
from chaos.services import DRIFT_STAGES, Service
from riverrun.runtime.failpoints import Failpoint
from services.alerts.app import INSTANCE

__all__ = ["AT_THE_EDGES", "EDGES"]

_SESSION_S: Final = 7.0
"""A little longer than a member's session."""
_SERVICE: Final = "alerts"
_DRIFT: Final = "drift"
_GATEWAY: Final = "gateway"
AT_THE_EDGES: Final = (_SERVICE, _DRIFT, _GATEWAY)
"""Each has a proxy of its own before Kafka."""
_POINTS: Final = (Failpoint.BEFORE_COMMIT, Failpoint.AFTER_COMMIT, Failpoint.BEFORE_STATE, Failpoint.BETWEEN_STATES)


def _service(scene: Scene) -> Service:
    return scene.services[_SERVICE]


def _kill(name: str, scene: Scene) -> Steps:
    """Kill a service; it is back after a while."""
    scene.services[name].kill()
    yield scene.rng.uniform(0.0, 1.0)
    scene.services[name].start()


def _sigterm(scene: Scene) -> Steps:
    """Ask it to end; what hangs is ended at its limit, which loses nothing."""
    yield from scene.drain(_service(scene), (0, os.EX_TEMPFAIL))
    _service(scene).start()
    yield 0.0


def _sigterm_gateway(scene: Scene) -> Steps:
    """Ask the gateway to end while it answers, and start it again."""
    gateway, accepted = scene.services[_GATEWAY], scene.accepted()
    yield from scene.until("the gateway at work", lambda: scene.accepted() > accepted)
    yield from scene.drain(gateway)
    gateway.start()
    yield 0.0


def _die_at(point: Failpoint, scene: Scene) -> Steps:
    """Let it end itself at a failpoint, and start it again without."""
    yield from scene.die_at(_service(scene), point, scene.rng.randint(1, 4))
    yield 0.0


def _zombie(scene: Scene) -> Steps:
    """Freeze it past its session, let another take over, and let it go on as if nothing had been."""
    frozen = _service(scene)
    frozen.freeze()
    other = frozen.another("other", {INSTANCE: "the-other"})
    scene.world.started(other)
    yield _SESSION_S
    before = scene.taken()
    yield from scene.until("the other to tell alerts", lambda: scene.taken() > before)
    frozen.thaw()
    yield scene.rng.uniform(1.0, 3.0)
    other.kill()
    scene.world.services.remove(other)


def _receiver_down(scene: Scene) -> Steps:
    """Let the receiver refuse everything for some seconds."""
    scene.receiver.down = True
    yield scene.rng.uniform(2.0, 6.0)
    scene.receiver.down = False


def _receiver_deaf(scene: Scene) -> Steps:
    """Let the receiver take what comes and say that it has not: it comes again, under the same key."""
    scene.receiver.deaf = True
    yield scene.rng.uniform(1.0, 3.0)
    scene.receiver.deaf = False


EDGES: Final = (
    Kind("kill.alerts", partial(_kill, _SERVICE), (), Scene.taken),
    Kind("kill.drift", partial(_kill, _DRIFT), DRIFT_STAGES),
    Kind("kill.gateway", partial(_kill, _GATEWAY), (), Scene.accepted),
    Kind("network.cut-alerts", partial(cut_off, _SERVICE), (), Scene.taken),
    Kind("network.cut-drift", partial(cut_off, _DRIFT), DRIFT_STAGES),
    Kind("network.cut-gateway", partial(cut_off, _GATEWAY), (), Scene.accepted),
    Kind("sigterm.drift", partial(sigterm, DRIFT_STAGES[0]), DRIFT_STAGES),
    Kind("sigterm.gateway", _sigterm_gateway, (), Scene.accepted),
    Kind("alerts.sigterm", _sigterm, (), Scene.taken),
    *(Kind(f"alerts.failpoint.{point}", partial(_die_at, point), (), Scene.taken) for point in _POINTS),
    Kind("alerts.zombie", _zombie, (), Scene.taken),
    Kind("alerts.receiver-down", _receiver_down, (), Scene.taken),
    Kind("alerts.receiver-deaf", _receiver_deaf, (), Scene.taken),
    Kind("alerts.kafka-killed", kafka_killed, again=Scene.taken),
)
"""For a chain with the services of the edges beside it."""
