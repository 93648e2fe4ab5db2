"""Twice the load that it can take: it keeps its order, sheds nothing, lags, says so, and catches up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from chaos.act import Outcome, conclude
from chaos.findings import Finding, Sort
from chaos.layouts import APART, Layout, Setting
from chaos.scene import Scene, now_ms
from riverrun.launch.survey import survey
from riverrun.runtime.degradations import Degradation

__all__ = ["OVERLOAD", "Overload", "overload"]

OVERLOAD: Final = "overload"
_MEASURE_S: Final = 6.0
_FACTOR: Final = 2.0
_TICK_S: Final = 0.05
_PLENTY: Final = 4_000


@dataclass(frozen=True, slots=True)
class Overload:
    """What happened under it.

    Parameters
    ----------
    capacity_per_s
        How many messages a second it took when there were always more.
    published_per_s
        How many were published then.
    most_lag
        Of `ingest`, in messages, when publishing ended.
    told_lag
        What ``riverrun status`` said of it then.
    said
        Whether the commit records of `ingest` said that it lags.
    caught_up_s
        Seconds until nothing was left.
    """

    capacity_per_s: float
    published_per_s: float
    most_lag: int
    told_lag: int
    said: bool
    caught_up_s: float

    def as_json(self) -> dict[str, float | bool]:
        """Return it for the report."""
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(self).items()}


def overload(setting: Setting, seconds: float, tell: Callable[[str], None]) -> tuple[Outcome, Overload]:
    """Publish twice as much as it takes, for so long."""
    layout: Layout = APART
    with layout.stage(setting) as scene:
        measured = _press(scene, seconds, tell)
        tell(f"took {measured.capacity_per_s:.0f}/s of {measured.published_per_s:.0f}/s, caught up")
        outcome = conclude(layout, scene, setting)
        outcome.layout = OVERLOAD
        if not measured.said:
            outcome.findings.append(Finding(Sort.WRONG, "its commit records did not say that it lags"))
        if measured.told_lag < measured.most_lag / 2:
            text = f"it lagged by {measured.most_lag}, and told of {measured.told_lag}"
            outcome.findings.append(Finding(Sort.WRONG, text))
        return outcome, measured


def _press(scene: Scene, seconds: float, tell: Callable[[str], None]) -> Overload:
    world = scene.world
    world.publish(_PLENTY)
    capacity = _folded_per_s(scene, _MEASURE_S)
    tell(f"takes {capacity:.0f}/s")
    rate = _FACTOR * capacity
    began, published = time.monotonic(), world.published
    while (passed := time.monotonic() - began) < seconds:
        world.publish(max(0, int(passed * rate) - (world.published - published)))
        world.watch.update()
        threading.Event().wait(_TICK_S)
    rate = (world.published - published) / passed
    world.flush()
    told = _told_lag(scene)
    world.watch.update()
    most = world.lag()["ingest"]
    ended, said = now_ms(), False

    def caught_up() -> bool:
        nonlocal said
        said = said or Degradation.LAGGING in world.watch.degraded("ingest")
        return not any(world.lag().values())

    world.wait("catching up", caught_up, limit_s=20 * seconds + 120)
    return Overload(capacity, rate, most, told, said, (now_ms() - ended) / 1000)


def _folded_per_s(scene: Scene, seconds: float) -> float:
    world, watch = scene.world, scene.world.watch
    world.let(1.0, feed=False)
    before, began = watch.folded("ingest"), time.monotonic()
    while time.monotonic() - began < seconds:
        # It must never run out, or what was measured is what was published.
        if world.published - watch.folded("ingest") < _PLENTY:
            world.publish(_PLENTY)
        world.let(_TICK_S, feed=False)
    return (watch.folded("ingest") - before) / (time.monotonic() - began)


def _told_lag(scene: Scene) -> int:
    """Return what ``riverrun status`` tells of the lag of `ingest`."""
    return sum(each.lag for each in survey(scene.world.deployment).stages if each.stage == "ingest")
