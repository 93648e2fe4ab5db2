"""The alerts service as a process on a real broker: killed where it hurts, it loses no alert and tells none twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from riverrun.embedded import EmbeddedCluster
from riverrun.records.items import AlertCommand, ModelVersion, Source
from riverrun.records.topics import Kind
from tests.alerts.made import HOUR, START, evaluation
from tests.alerts.world import World, expected_alerts, running_world

DEATHS: Final = ("before-commit:1", "after-commit:2", "between-states:6")
"""Alerts sent and not committed; committed and in no table; one table written and not the next."""


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
