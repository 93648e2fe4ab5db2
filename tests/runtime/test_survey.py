"""What ``riverrun status`` says of lag: records that are written and not folded, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riverrun.launch.survey import survey
from riverrun.records.topics import Kind
from tests.runtime.worlds import MemoryWorld, messages

MakeMemory = Callable[..., MemoryWorld]


def lag_by_stage(world: MemoryWorld) -> dict[str, int]:
    found: dict[str, int] = {}
    for status in survey(world.deployment()).stages:
        found[status.stage] = found.get(status.stage, 0) + status.lag
    return found


@pytest.mark.parametrize("partitions", [1, 3])
def test_when_all_is_folded_there_is_no_lag(make_memory: MakeMemory, partitions: int) -> None:
    """The learner reads what several writers wrote to one partition: each counts by itself."""
    world = make_memory(partitions)
    world.publish(messages(40, seed=1))
    world.run("ingest+features+score+labels learn")
    assert lag_by_stage(world) == dict.fromkeys(("ingest", "features", "score", "labels", "learn"), 0)


def test_lag_is_what_the_stage_before_has_written_since(make_memory: MakeMemory) -> None:
    """While the learner is away, its lag is the number of examples that all writers have added."""
    world = make_memory(3)
    sent = messages(60, seed=2)
    world.publish(sent[:60])
    world.run("ingest+features+score+labels learn")
    before = len(world.items(Kind.EXAMPLES))
    world.publish(sent[60:])
    world.run("ingest+features+score+labels")
    assert lag_by_stage(world)["learn"] == len(world.items(Kind.EXAMPLES)) - before > 0
