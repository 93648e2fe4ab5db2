"""What strikes when follows from the seed, and everything that was asked for is there."""

from __future__ import annotations

from collections import Counter

import pytest

from chaos.layouts import LAYOUTS
from chaos.schedule import LONG, SHORT, Size, all_kinds, schedule
from chaos.services import STAGES

_REACH = {
    **{f"kill.{stage}": 200 for stage in (*STAGES, "drift", "alerts", "gateway")},
    "failpoint.": 20,
    "alerts.failpoint.": 20,
    "zombie": 100,
    "kafka.killed": 20,
    "kafka.paused": 20,
    "redis.killed": 30,
    "redis.wiped": 20,
    "network.held-frame": 50,
}


def _times(size: Size, seed: int) -> Counter[str]:
    return Counter(kind.name for act in schedule(size, seed) for kinds in act.faults for kind in kinds)


@pytest.mark.parametrize("size", [SHORT, LONG], ids=lambda size: size.name)
def test_each_kind_strikes_as_often_as_it_should(size: Size) -> None:
    """Whatever the seed, alone or together, none is left out."""
    for seed in range(5):
        assert _times(size, seed) == {kind: size.times_of(kind) for kind in all_kinds()}


def test_the_long_run_reaches_what_was_promised() -> None:
    """The counts that docs/reliability.md promises."""
    times = _times(LONG, 1)
    for name, least in _REACH.items():
        found = [count for kind, count in times.items() if kind.startswith(name)]
        assert min(found, default=0) >= least, name
    assert sum(count for kind, count in times.items() if kind.startswith(("snapshot.", "checkpoint."))) >= 100


def test_a_seed_always_makes_the_same_schedule() -> None:
    """And another seed another one."""
    first, again, other = ([act.faults for act in schedule(SHORT, seed)] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_faults_that_work_on_the_same_thing_do_not_strike_together() -> None:
    """But others do, and kills of services that run apart."""
    pairs = {
        frozenset(kind.name.partition(".")[0] for kind in kinds)
        for seed in range(3, 6)
        for act in schedule(LONG, seed)
        for kinds in act.faults
        if len(kinds) > 1
    }
    assert frozenset({"kill", "redis"}) in pairs
    assert frozenset({"kafka", "redis"}) in pairs
    # Whatever strikes elsewhere strikes together with a server that dies or loses what it had.
    assert {frozenset({"beside", other}) for other in ("failpoint", "kill", "member", "network", "zombie")} <= pairs
    assert all(len(pair) > 1 for pair in pairs - {frozenset({"kill"})})
    assert not {frozenset({"kill", "sigterm"}), frozenset({"kafka", "sigterm"})} & pairs


def test_only_stages_are_killed_more_than_two_at_a_time() -> None:
    """All else strikes alone, or in twos."""
    crowds = [kinds for act in schedule(LONG, 3) for kinds in act.faults if len(kinds) > 2]
    assert crowds
    stages = {f"kill.{stage}" for stage in STAGES}
    assert all({kind.name for kind in kinds} <= stages for kinds in crowds)
    assert all(len(set(kinds)) == len(kinds) for kinds in crowds)


def test_names_are_not_used_twice() -> None:
    """A kind's name says where its counts are in the report."""
    assert len(set(all_kinds())) == len(all_kinds()) == sum(len(layout.kinds) for layout in LAYOUTS)


def test_some_kinds_can_be_chosen() -> None:
    """By the beginnings of their names; scenes in which none of them can strike are left out."""
    acts = list(schedule(SHORT, 1, ["redis.", "zombie"]))
    assert {act.layout.name for act in acts} == {"apart", "members"}
    assert all(kind.name.startswith(("redis.", "zombie")) for act in acts for kinds in act.faults for kind in kinds)
