"""Strikes: injects faults into a scene, mends them, and measures how long it takes until all goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from chaos.findings import Strike
from chaos.scene import Kind, Scene, now_ms
from chaos.world import StuckError

__all__ = ["strike"]

_RECOVERY_LIMIT_S: Final = 180.0


def strike(scene: Scene, kinds: Sequence[Kind], tell: Callable[[str], None]) -> list[Strike]:
    """Inject faults, several at the same time if more than one is given; return what happened.

    A fault that it takes too long to recover from is a finding, not an error: the scene goes on.
    """
    world = scene.world
    began_ms, began = now_ms(), time.monotonic()
    lasting = [kind.run(scene) for kind in kinds]
    while lasting:
        waits = []
        for each in tuple(lasting):
            wait = next(each, None)
            if wait is None:
                lasting.remove(each)
            else:
                waits.append(wait)
        world.let(max(waits, default=0.0))
    ended_ms, ended = now_ms(), time.monotonic()
    name = " + ".join(kind.name for kind in kinds)
    waiting = [_Struck(scene, kind, ended_ms) for kind in kinds]
    recovered: dict[str, float] = {}

    def all_go_on() -> bool:
        for each in tuple(waiting):
            if each.goes_on():
                waiting.remove(each)
                recovered[each.kind.name] = time.monotonic()
        return not waiting

    try:
        world.wait(f"recovery from {name}", all_go_on, feed=True, limit_s=_RECOVERY_LIMIT_S)
        tell(f"{name}: lasted {ended - began:.1f} s, all went on {max(recovered.values()) - ended:.1f} s later")
    except StuckError as error:
        scene.wrong(f"no recovery from {name} in {_RECOVERY_LIMIT_S:.0f} s: {error}"[:4_000])
        tell(f"{name}: NO RECOVERY")
    strikes = []
    for kind in kinds:
        at = recovered.get(kind.name)
        recovery, outage = (None, None) if at is None else (at - ended, at - began)
        strikes.append(Strike(kind.name, began_ms, ended_ms, recovery, outage))
    return strikes


class _Struck:
    """What a fault has hit, until all of it has gone on."""

    def __init__(self, scene: Scene, kind: Kind, ended_ms: int) -> None:
        self.kind = kind
        self._scene = scene
        self._ended_ms = ended_ms
        self._places = [place for place in scene.world.watch.latest if place[0] in kind.hits]
        self._before = kind.again(scene) if kind.again is not None else 0

    def goes_on(self) -> bool:
        """Tell whether every stage that was hit has committed since, and what must rise has risen."""
        committed = self._scene.world.watch.committed
        if any(committed[place] <= self._ended_ms for place in self._places):
            return False
        return self.kind.again is None or self.kind.again(self._scene) > self._before
