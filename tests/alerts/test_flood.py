"""Whoever may subscribe cannot stop the alerts: there are so many subscriptions and no more, and their state fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.embedded import EmbeddedCluster
from riverrun.records.items import AlertCommand
from riverrun.records.topics import Kind
from riverrun.subscriptions import MOST_SUBSCRIPTIONS
from services.alerts.app import application_id
from tests.alerts.made import HOUR, START, evaluation
from tests.alerts.world import World, running_world


@pytest.fixture
def world(cluster: EmbeddedCluster, tmp_path: Path) -> Iterator[World]:
    """A pipeline of this test's own."""
    with running_world(cluster, tmp_path) as made:
        yield made


def long_subscription(number: int) -> AlertCommand:
    """Return a command as long as the gateway takes one, in letters of four bytes; each other one without segments."""
    command = AlertCommand(f"c-{number}", "subscribe", 0, "ada", subscription=f"{number:0>100}", channel="webhook")
    command.secret, command.url = "NONE", "https://hooks.example.com/".ljust(2_000, "x")
    if number % 2:
        command.segments = tuple(f"s{each}=".ljust(200, "\U0001f40d") for each in range(50))
    command.rules = ("quality", *(f"r{each}".ljust(100, "x") for each in range(49)))
    return command


def saved(world: World, number: int) -> bool:
    """Tell whether the state of the service has a subscription, as its changelog says; the service must live."""
    assert world.process is not None
    assert world.process.poll() is None, "the service has ended"
    topic = f"{application_id(world.deployment.pipeline.name)}-subscriptions-changelog"
    records = world.deployment.log.tail(topic, 0, 4) if world.deployment.log.partitions(topic) else []
    return any(f'"{number:0>100}"'.encode() in (record.value or b"") for record in records)


@pytest.mark.timeout(300)
def test_a_flood_of_subscriptions_does_not_stop_the_alerts(world: World) -> None:
    """After more subscriptions than are allowed, each as long as can be, alerts are told, after a kill too."""
    world.start()
    world.send([long_subscription(number) for number in range(MOST_SUBSCRIPTIONS + 30)], Kind.ALERT_COMMANDS)
    world.wait(lambda: saved(world, MOST_SUBSCRIPTIONS - 1))
    world.send([evaluation(0.5, START)], Kind.EVALUATIONS)
    world.wait(lambda: len(world.alerts()) == 1)
    world.kill()
    world.start()
    world.send([evaluation(0.9, START + 9 * HOUR)], Kind.EVALUATIONS)
    world.wait(lambda: len(world.alerts()) == 2)
    assert not saved(world, MOST_SUBSCRIPTIONS)
    told = world.alerts()[-1].subscriptions
    assert told == tuple(f"{number:0>100}" for number in range(0, MOST_SUBSCRIPTIONS, 2))
