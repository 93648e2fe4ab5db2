"""The alerts service as a process on a real broker: killed where it hurts, it loses no alert and tells none twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from riverrun.embedded import EmbeddedCluster
from riverrun.records.items import AlertCommand, ModelVersion, Source
from riverrun.records.topics import Kind
from services.alerts.app import INSTANCE
from tests.alerts.made import HOUR, START, evaluation
from tests.alerts.world import World, expected_alerts, running_world

DEATHS: Final = ("before-commit:1", "after-commit:2", "between-states:6")
"""Alerts sent and not committed; committed and in no table; one table written and not the next."""

_SAVED_S: Final = 2.0


@pytest.fixture
def world(cluster: EmbeddedCluster, tmp_path: Path) -> Iterator[World]:
    """A pipeline of this test's own."""
    with running_world(cluster, tmp_path) as made:
        yield made


@pytest.mark.timeout(300)
def test_no_alert_is_lost_or_told_twice_by_kills(world: World) -> None:
    """Killed before a commit, after one, and between two tables, the topic holds what an undisturbed fold tells."""
    values = [0.9 if number % 5 == 4 else 0.5 for number in range(40)]
    evaluations = [evaluation(value, START + number * 2 * HOUR) for number, value in enumerate(values)]
    for part, death in enumerate(DEATHS):
        world.start(death)
        world.send(evaluations[part * 10 : part * 10 + 5], Kind.EVALUATIONS)
        world.wait(lambda: bool(world.alerts()) or world.died())
        world.send(evaluations[part * 10 + 5 : part * 10 + 10], Kind.EVALUATIONS)
        world.wait(world.died)
    world.start()
    world.send(evaluations[30:], Kind.EVALUATIONS)
    expected = expected_alerts(world, evaluations)
    world.wait(lambda: len(world.alerts()) >= len(expected))
    told = world.alerts()
    assert [alert.seq for alert in told] == list(range(len(expected)))
    assert [(alert.id, alert.status, alert.time) for alert in told] == [
        (alert.id, alert.status, alert.time) for alert in expected
    ]


@pytest.mark.timeout(300)
def test_a_forged_model_is_told(world: World) -> None:
    """Somebody writes a version to the topic of models that no learner has signed: refused, and an alert."""
    world.start()
    with world.stages("ingest", "features", "score") as stages:
        place = Source("", 0, 0)
        forged = ModelVersion("line", 9, 1, 0, "x", "0" * 64, "AAAA", "x", "x", {}, 1, {}, place)
        world.send([forged], Kind.MODELS)
        world.wait(lambda: "no signature" in stages() or "refused" in stages() or "last good models" in stages())
        # A refusal is counted in the next commit.
        world.publish("asked", {"id": "a", "at": START, "size": 1.0})
        world.wait(lambda: bool(world.alerts()))
    (alert,) = world.alerts()
    assert (alert.rule, alert.severity, alert.title) == (
        "riverrun.refused-models",
        "critical",
        "models_refused of score rose by 1 to 1",
    )


@pytest.mark.timeout(300)
def test_acknowledgements_and_subscriptions_survive(world: World) -> None:
    """What was acknowledged and subscribed to before a kill still counts after it, whatever the tables hold."""
    world.start()
    world.send([evaluation(0.5, START)], Kind.EVALUATIONS)
    subscribe = AlertCommand("c-1", "subscribe", 0, "ada", subscription="ops", channel="webhook", secret="NONE")
    subscribe.url = "https://ops.example.com/"
    world.send([subscribe], Kind.ALERT_COMMANDS)
    world.wait(lambda: len(world.alerts()) == 1)
    world.send([AlertCommand("c-2", "acknowledge", 0, "ada", alert=world.alerts()[0].id)], Kind.ALERT_COMMANDS)
    world.wait(lambda: len(world.alerts()) == 2)
    world.kill()
    world.start()
    again = [evaluation(0.5, START + 9 * HOUR), evaluation(0.9, START + 10 * HOUR), evaluation(0.4, START + 11 * HOUR)]
    world.send(again, Kind.EVALUATIONS)
    world.wait(lambda: len(world.alerts()) >= 4)
    told = world.alerts()
    assert [alert.status for alert in told] == ["raised", "acknowledged", "resolved", "raised"]
    assert [alert.subscriptions for alert in told[2:]] == [("ops",), ("ops",)]


def _has_told(world: World, count: int) -> bool:
    return len(world.alerts()) >= count


@pytest.mark.timeout(300)
def test_every_start_finds_the_tables(world: World) -> None:
    """However often it is killed, and however soon it is back, it goes on from its state.

    Else each start folds all there ever was.
    """
    # Who comes back under its name takes over before Faust has fetched anything.
    world.environment[INSTANCE] = "the-one"
    lives = 3
    for life in range(1, lives + 1):
        world.start()
        world.send([evaluation(0.5 if life % 2 else 0.9, START + life * 9 * HOUR)], Kind.EVALUATIONS)
        world.wait(partial(_has_told, world, life))
        time.sleep(_SAVED_S)  # its state is saved each second, and nobody is told of that
        world.kill()
    told = (world.file.parent / "log").read_text(encoding="utf-8", errors="replace")
    assert told.count("begins with the first signal") == 1
    assert told.count("goes on behind signal") == lives - 1
