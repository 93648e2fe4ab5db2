"""The process dies at each named failpoint, where what is done and what is not yet done part."""

from __future__ import annotations

import random
from typing import Final

import pytest

from riverrun.errors import SettingsError
from riverrun.launch.failpoint import FAILPOINT, read_failpoint
from riverrun.runtime.failpoints import Failpoint
from tests.faults.conftest import Build
from tests.faults.judge import Outcome, judge
from tests.faults.world import IN_ORDER

pytestmark = pytest.mark.timeout(300)

_MOST_PASSES: Final = {
    Failpoint.BEFORE_COMMIT: 4,
    Failpoint.AFTER_COMMIT: 4,
    Failpoint.BEFORE_STATE: 1,
    # Four stages have state: three gaps between them, four restores.
    Failpoint.BETWEEN_STATES: 3,
    Failpoint.IN_RESTORE: 4,
    Failpoint.AFTER_RESTORE: 1,
}
"""How often a point is passed at most before the end: the load must last for all of them."""


def test_death_at_every_failpoint_changes_nothing(build: Build, calm: Outcome, rng: random.Random) -> None:
    """One life after the other ends at another point; what is left is what an undisturbed run leaves."""
    world = build("failpoints")
    # First, since a life must be long to take a snapshot; and the second time, since the first is the alias alone.
    world.die_at(Failpoint.BEFORE_POINTER, 2, **IN_ORDER)
    others = sorted(set(Failpoint) - {Failpoint.BEFORE_POINTER})
    for point in rng.sample(others, len(others)):
        world.die_at(point, rng.randint(1, _MOST_PASSES[point]), **IN_ORDER)
    survivor = world.chain(**IN_ORDER)
    world.reach("ingest", 0.9, feed=True)
    world.drain(survivor)
    world.finish()
    judge(world).assert_equals(calm)


@pytest.mark.parametrize("setting", ["nowhere:1", "after-commit", "after-commit:0", "after-commit:-1", ":1"])
def test_malformed_failpoint_is_refused(setting: str) -> None:
    """A setting that would end nothing is an error, not a test that proves nothing."""
    with pytest.raises(SettingsError, match=FAILPOINT):
        read_failpoint({FAILPOINT: setting})
