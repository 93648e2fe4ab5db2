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
    places = [place for place in world.watch.latest if any(place[0] in kind.hits for kind in kinds)]
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

    rising = [(kind.again, kind.again(scene)) for kind in kinds if kind.again is not None]

    def all_go_on() -> bool:
        committed = all(world.watch.committed[place] > ended_ms for place in places)
        return committed and all(count(scene) > before for count, before in rising)

    recovery: float | None = None
    outage: float | None = None
    try:
        world.wait(f"recovery from {name}", all_go_on, feed=True, limit_s=_RECOVERY_LIMIT_S)
        recovery, outage = time.monotonic() - ended, time.monotonic() - began
        tell(f"{name}: lasted {ended - began:.1f} s, all went on {recovery:.1f} s later")
    except StuckError as error:
        scene.wrong(f"no recovery from {name} in {_RECOVERY_LIMIT_S:.0f} s: {error}"[:4_000])
        tell(f"{name}: NO RECOVERY")
    return [Strike(kind.name, began_ms, ended_ms, recovery, outage) for kind in kinds]
