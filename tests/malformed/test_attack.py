"""A short form of ``make malformed``: nothing crashes, nothing stops, and everything is accounted for."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from hostile.mutations import Spoiled, spoil
from hostile.routes import attack_routes
from hostile.topics import Prey, attack_topics, make_prey
from hostile.victim import Victim
from riverrun.embedded import EmbeddedCluster

COUNT = 500
MOST_MB = 700
"""Some 250 MB are the process's own. What strangers send may add so much, however much they send."""


@pytest.fixture(scope="module")
def prey(tmp_path_factory: pytest.TempPathFactory, cluster: EmbeddedCluster) -> Prey:
    """A pipeline of these tests' own."""
    return make_prey("prey", tmp_path_factory.mktemp("prey"), cluster.addresses)


@pytest.mark.timeout(300)
def test_malformed_messages_do_no_harm(prey: Prey, tmp_path: Path) -> None:
    """Of 500 malformed messages each is an event, a duplicate or a dead letter for a reason; the stages go on."""
    found = attack_topics(prey, COUNT, 20_251_125, tmp_path)
    log = (tmp_path / "stages.log").read_text(errors="replace")
    assert (found.tried, found.crashes, found.unaccounted) == (COUNT, 0, 0), log[-3_000:]
    assert 0 < found.peak_rss_mb < MOST_MB
    assert len(found.answers) > 12
    assert "Traceback" not in log


@pytest.mark.timeout(300)
def test_malformed_requests_do_no_harm(prey: Prey, tmp_path: Path) -> None:
    """Of 250 malformed requests to all routes each is answered, none by a fault of the gateway's, which goes on."""
    prey.connect().log.close()
    found = attack_routes(prey, COUNT // 2, 20_251_125, tmp_path)
    log = (tmp_path / "gateway.log").read_text(errors="replace")
    assert (found.tried, found.crashes, found.unaccounted) == (COUNT // 2, 0, 0), f"{found}\n{log[-3_000:]}"
    assert 0 < found.peak_rss_mb < MOST_MB
    assert {"400", "401", "404", "405", "422"} <= found.answers.keys()
    assert "Traceback" not in log


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
