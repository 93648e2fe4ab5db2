"""Faults that strike at the same time go on by themselves: none waits for what another has still to mend."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.scene import Kind, Scene, Steps, now_ms
from chaos.strike import strike
from chaos.world import StuckError


class _World:
    """A world in which nothing is unless it is said what has committed, and so nothing has to go on."""

    def __init__(self, committed: dict[tuple[str, int], int] | None = None) -> None:
        self.watch = SimpleNamespace(latest=committed or {}, committed=committed or {})

    def wait(self, what: str, condition: Callable[[], bool], *, feed: bool, limit_s: float) -> None:
        assert feed
        deadline = time.monotonic() + min(limit_s, 30.0)
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.001)

    def stuck(self, what: str) -> StuckError:
        return StuckError(what)


class _Door:
    """What one fault opens, and another waits at."""

    def __init__(self) -> None:
        self.open = False
        self.seen: list[str] = []

    def opens(self, scene: Scene) -> Steps:
        """Open it after a while."""
        self.seen.append("closed")
        yield 0.05
        self.open = True
        self.seen.append("open")

    def waits(self, scene: Scene, limit_s: float = 10.0) -> Steps:
        """Wait until it is open, a step further away than who opens it."""
        yield from scene.until("an open door", lambda: self.open, limit_s)
        yield 0.0
        self.seen.append("through")


def _scene(committed: dict[tuple[str, int], int] | None = None) -> Scene:
    some = cast("Any", SimpleNamespace())
    return Scene(cast("Any", _World(committed)), [], some, {}, some, some)


@pytest.mark.parametrize("turned", [False, True])
def test_one_fault_waits_for_another(turned: bool) -> None:
    """Whichever of the two is injected first."""
    door = _Door()
    kinds = [Kind("waits", door.waits), Kind("opens", door.opens)]
    strikes = strike(_scene(), kinds[::-1] if turned else kinds, lambda line: None)
    assert door.seen == ["closed", "open", "through"]
    assert {each.kind for each in strikes} == {"waits", "opens"}


def test_what_does_not_come_breaks_off() -> None:
    """After its own limit, in its own words."""
    door = _Door()
    with pytest.raises(StuckError, match="an open door"):
        strike(_scene(), [Kind("waits", lambda scene: door.waits(scene, 0.05))], lambda line: None)


@pytest.mark.parametrize(("stage", "held_up"), [("features", True), ("ingest", False)])
def test_who_opens_with_redis_is_not_late_while_it_is_away(stage: str, held_up: bool) -> None:
    """Its recovery counts from Redis's return; that of a stage that begins without it from its own."""
    committed = {(stage, 0): 0}

    def redis_is_away(scene: Scene) -> Steps:
        yield 1.0
        committed[stage, 0] = now_ms() + 60_000

    kinds = [Kind(f"kill.{stage}", lambda scene: iter((0.0,)), hits=(stage,)), Kind("redis.killed", redis_is_away)]
    found = {each.kind: each.recovery_s for each in strike(_scene(committed), kinds, lambda line: None)}
    took = found[f"kill.{stage}"]
    assert took is not None
    assert (took < 0.5) is held_up
