"""``riverrun status`` tells what is degraded, from the commit records alone: whichever machine the services are on."""

from __future__ import annotations

from dataclasses import replace

from riverrun.launch.survey import Degraded, Survey, survey
from riverrun.runtime.degradations import Degradation
from tests.runtime.worlds import MemoryWorld, messages
from tests.telemetry.worlds import WALL, watched


def test_status_tells_what_is_degraded_and_where(memory: MemoryWorld) -> None:
    """The stages of a chain are named together, with the code, its meaning and since when; well ones are not named."""
    memory.publish(messages(20))
    member = watched(memory, "ingest+features score labels learn")
    memory.settle(member.worker)
    assert survey(memory.deployment()).degraded() == []
    memory.store.available = False
    memory.settle(member.worker)
    (found,) = survey(memory.deployment()).degraded()
    assert (found.what, found.where) == ("redis_away", "ingest+features[0]")
    assert WALL < found.since / 1000 <= WALL + memory.memory.now / 1000
    (told,) = [each.as_json() for each in survey(memory.deployment()).degraded()]
    assert survey(memory.deployment()).as_json()["degraded"] == [told]
    assert told["what"] == "redis_away"
    assert told["means"] == Degradation.REDIS_AWAY.explanation
    assert str(told["since"]).startswith("2023-11-14T22:")
    memory.store.available = True
    memory.settle(member.worker)
    assert survey(memory.deployment()).as_json()["degraded"] == []
    member.worker.leave()


def test_a_code_of_a_newer_version_is_told_as_it_is(memory: MemoryWorld) -> None:
    """A status command that is older than the services does not stumble over what it does not know."""
    memory.publish(messages(9))
    memory.run()
    seen = survey(memory.deployment())
    stage = replace(seen.stages[0], degraded={"sun_spots": 1_700_000_000_000})
    newer = Survey(seen.pipeline, [stage])
    assert newer.degraded() == [Degraded("sun_spots", "ingest[0]", 1_700_000_000_000)]
    assert newer.as_json()["degraded"] == [
        {"what": "sun_spots", "where": "ingest[0]", "since": "2023-11-14T22:13:20+00:00"}
    ]
