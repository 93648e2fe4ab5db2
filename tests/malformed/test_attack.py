"""A short form of ``make malformed``: nothing crashes, nothing stops, and everything is accounted for."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.mutations import Spoiled, spoil
from hostile.prey import make_prey
from hostile.routes import attack_health, attack_routes
from hostile.scene import Scene
from hostile.talk import ask
from hostile.topics import attack_topics
from hostile.victim import Victim
from riverrun.embedded import EmbeddedCluster

COUNT = 500
SEED = 20_251_125
MOST_MB = 700
"""Some 250 MB are the process's own. What strangers send may add so much, however much they send."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is attacked writes."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, logs: Path, cluster: EmbeddedCluster) -> Iterator[Scene]:
    """A pipeline of these tests' own, everything of it running, and an alert told."""
    made = Scene(make_prey("prey", tmp_path_factory.mktemp("prey"), cluster.addresses), logs)
    try:
        made.start("stages", "alerts")
        made.prove()
        made.start("gateway")
        yield made
    finally:
        made.close()


def check(scene: Scene, logs: Path) -> None:
    """Whatever was done to it, nothing of the pipeline has stopped, crashed, swollen or let an error through."""
    assert scene.stopped == []
    assert scene.crashes == 0
    for name, peak in scene.peak_rss_mb.items():
        assert 0 < peak < MOST_MB, name
        assert "Traceback" not in (logs / f"{name}.log").read_text(errors="replace")


@pytest.mark.timeout(300)
def test_malformed_messages_do_no_harm(scene: Scene, logs: Path) -> None:
    """Of 500 malformed messages each is a dead letter for a reason; all stages go on, and so do the alerts."""
    found = attack_topics(scene, COUNT, SEED)
    assert (found.tried, found.unaccounted) == (COUNT, 0), found.faults
    assert sum(found.answers.values()) == COUNT
    assert not {"accepted", "nowhere"} & found.answers.keys()
    assert len(found.answers) > 10
    check(scene, logs)


@pytest.mark.timeout(300)
def test_malformed_requests_do_no_harm(scene: Scene, logs: Path) -> None:
    """Of 500 malformed requests to all operations each is refused with a 4xx; the alerts still take commands."""
    found = attack_routes(scene, COUNT, SEED)
    assert (found.tried, found.unaccounted) == (COUNT, 0), found.faults
    assert sum(found.answers.values()) == sum(sum(each.values()) for each in found.by_route.values()) == COUNT
    assert {"400", "401", "404", "405", "415", "422", "431"} <= found.answers.keys()
    assert found.by_route.keys() == _operations(scene)
    check(scene, logs)


def _operations(scene: Scene) -> set[str]:
    """Return all that the gateway says it can be asked."""
    document = json.loads(ask(scene.port, "GET", "/openapi.json", scene.key).partition("\r\n\r\n")[2])
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


@pytest.mark.timeout(300)
def test_malformed_requests_for_health_do_no_harm(scene: Scene, logs: Path) -> None:
    """Of 500 malformed requests to the health endpoints of all three processes each is refused with a 4xx."""
    found = attack_health(scene, COUNT, SEED)
    assert (found.tried, found.unaccounted) == (COUNT, 0), found.faults
    assert {"400", "404", "405", "431"} <= found.answers.keys()
    assert len(found.by_route) == 18
    check(scene, logs)


def test_the_same_seed_spoils_in_the_same_way() -> None:
    """An attack can be repeated; another seed is another attack; every way to spoil has its turn."""
    samples = [b'{"a": 1, "b": "text"}', b"\x00\x00\x00\x04\x01" + bytes(range(40))]

    def spoiled(seed: int) -> list[Spoiled]:
        chance = random.Random(seed)
        return [spoil(chance, samples) for _ in range(500)]

    assert spoiled(1) == spoiled(1)
    assert spoiled(1) != spoiled(2)
    ways = Counter(name for _, how in spoiled(1) for name in how.split("+"))
    assert len(ways) == 11
    assert sum(value in samples for value, _ in spoiled(1)) < 10


def test_a_victim_that_dies_is_counted_and_started_again(tmp_path: Path) -> None:
    """A process that ends by itself is a crash, each time; one that ends when it is told to is none."""
    dying = Victim([sys.executable, "-c", "raise SystemExit(3)"], {}, tmp_path / "dying.log")
    dying.start()
    for expected in (1, 2):
        while dying.crashes < expected:
            dying.look()
    dying.stop()
    assert dying.crashes >= 2
    lasting = Victim([sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path / "lasting.log")
    lasting.start()
    lasting.look()
    lasting.stop()
    assert lasting.crashes == 0
    assert lasting.peak_rss_mb >= 0
