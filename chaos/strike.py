"""Strikes: injects faults into a scene, mends them, and measures how long it takes until all goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from chaos.findings import Strike
from chaos.scene import Awaited, Kind, Scene, now_ms
from chaos.world import StuckError

__all__ = ["strike"]

_RECOVERY_LIMIT_S: Final = 180.0
_HOLD_UP: Final = ("kafka.", "beside.", "network.kafka", "store.", "state.")
"""Faults while which nothing that they hit can go on."""
_OPENS_WITH_REDIS: Final = "features"
"""The stage whose state is in Redis: it goes on without, but does not begin without."""


def strike(scene: Scene, kinds: Sequence[Kind], tell: Callable[[str], None]) -> list[Strike]:
    """Inject faults, several at the same time if more than one is given; return what happened.

    A fault that it takes too long to recover from is a finding, not an error: the scene goes on.
    """
    world = scene.world
    began_ms, began = now_ms(), time.monotonic()
    lasting = [_Lasting(scene, kind) for kind in kinds]
    waiting: list[_Struck] = []
    recovered: dict[str, _Struck] = {}

    def all_go_on() -> bool:
        for each in tuple(waiting):
            if each.goes_on():
                waiting.remove(each)
                recovered[each.kind.name] = each
        return not waiting

    def one_is_ready() -> bool:
        all_go_on()
        return any(each.is_ready() for each in lasting)

    while lasting:
        world.wait("a fault to go on", one_is_ready, feed=True, limit_s=math.inf)
        for each in [each for each in lasting if each.is_ready() and not each.goes_on()]:
            # Its recovery counts from here, unless another lasts for longer that holds up what it has hit.
            lasting.remove(each)
            waiting.append(_Struck(scene, each.kind))
            for other in waiting:
                other.held_up_until_now(by=each.kind)
    ended_ms, ended = now_ms(), time.monotonic()
    name = " + ".join(kind.name for kind in kinds)
    try:
        world.wait(f"recovery from {name}", all_go_on, feed=True, limit_s=_RECOVERY_LIMIT_S)
        last = max(each.recovered for each in recovered.values())
        tell(f"{name}: lasted {ended - began:.1f} s, all went on {max(0.0, last - ended):.1f} s later")
    except StuckError as error:
        scene.wrong(f"no recovery from {name} in {_RECOVERY_LIMIT_S:.0f} s: {error}"[:4_000])
        tell(f"{name}: NO RECOVERY")
    strikes = []
    for kind in kinds:
        struck = recovered.get(kind.name)
        recovery, outage = (None, None) if struck is None else (struck.recovery_s, struck.recovered - began)
        strikes.append(Strike(kind.name, began_ms, ended_ms, recovery, outage))
    return strikes


class _Lasting:
    """A fault that is not mended yet, and what it waits for before it goes on."""

    def __init__(self, scene: Scene, kind: Kind) -> None:
        self.kind = kind
        self._world = scene.world
        self._steps = kind.run(scene)
        self._wait_for(0.0)

    def _wait_for(self, step: float | Awaited) -> None:
        now = time.monotonic()
        if isinstance(step, Awaited):
            self._awaited, self._deadline = step, now + step.limit_s
        else:
            until = now + step
            self._awaited, self._deadline = Awaited("", lambda: time.monotonic() >= until, math.inf), math.inf

    def is_ready(self) -> bool:
        """Tell whether what it waits for is there.

        Raises
        ------
        StuckError
            If it has waited for too long.
        """
        if self._awaited.condition():
            return True
        if time.monotonic() > self._deadline:
            raise self._world.stuck(self._awaited.what)
        return False

    def goes_on(self) -> bool:
        """Take the next step; return whether there was one left."""
        step = next(self._steps, None)
        if step is None:
            return False
        self._wait_for(step)
        return True


class _Struck:
    """What a fault has hit, from its end until all of it has gone on."""

    def __init__(self, scene: Scene, kind: Kind) -> None:
        self.kind = kind
        self.recovered = 0.0
        self._scene = scene
        self._ended_ms, self._ended = now_ms(), time.monotonic()
        self._counted_from = self._ended
        self._places = [place for place in scene.world.watch.latest if place[0] in kind.hits]
        self._before = kind.again(scene) if kind.again is not None else 0

    @property
    def recovery_s(self) -> float:
        """Seconds from its end, or from that of the last fault that struck with it and held up the same."""
        return max(0.0, self.recovered - self._counted_from)

    def held_up_until_now(self, by: Kind) -> None:
        """Take note that a fault has ended which struck at the same time; without Redis all but state goes on."""
        opens_late = (
            by.name.startswith("redis.") and self.kind.name.startswith("kill.") and _OPENS_WITH_REDIS in self.kind.hits
        )
        if opens_late or (by.name.startswith(_HOLD_UP) and set(by.hits) & set(self.kind.hits)):
            self._counted_from = time.monotonic()

    def goes_on(self) -> bool:
        """Tell whether every stage that was hit has committed since, and what must rise has risen; note when."""
        committed = self._scene.world.watch.committed
        if any(committed[place] <= self._ended_ms for place in self._places):
            return False
        if self.kind.again is not None and self.kind.again(self._scene) <= self._before:
            return False
        self.recovered = time.monotonic()
        return True
