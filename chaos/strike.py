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
_HOLD_UP: Final = ("kafka.", "beside.", "network.kafka", "store.", "state.")
"""Faults while which nothing that they hit can go on."""


def strike(scene: Scene, kinds: Sequence[Kind], tell: Callable[[str], None]) -> list[Strike]:
    """Inject faults, several at the same time if more than one is given; return what happened.

    A fault that it takes too long to recover from is a finding, not an error: the scene goes on.
    """
    world = scene.world
    began_ms, began = now_ms(), time.monotonic()
    lasting = [(kind, kind.run(scene)) for kind in kinds]
    waiting: list[_Struck] = []
    recovered: dict[str, _Struck] = {}

    def all_go_on() -> bool:
        for each in tuple(waiting):
            if each.goes_on():
                waiting.remove(each)
                recovered[each.kind.name] = each
        return not waiting

    while lasting:
        waits = []
        for kind, run in tuple(lasting):
            wait = next(run, None)
            if wait is None:
                # Its recovery counts from here, unless another lasts for longer that holds up what it has hit.
                lasting.remove((kind, run))
                waiting.append(_Struck(scene, kind))
                for each in waiting:
                    each.held_up_until_now(by=kind)
            else:
                waits.append(wait)
        _pass(scene, max(waits, default=0.0), all_go_on)
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


def _pass(scene: Scene, seconds: float, look: Callable[[], bool]) -> None:
    """Let time pass with the load on, looking all the while."""
    until = time.monotonic() + seconds

    def over() -> bool:
        look()
        return time.monotonic() >= until

    scene.world.wait("the end of a fault", over, feed=True)


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
        if by.name.startswith(_HOLD_UP) and set(by.hits) & set(self.kind.hits):
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
