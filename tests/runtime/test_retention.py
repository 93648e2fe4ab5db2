"""What retention has deleted is history: nobody begins anew because of it, and lost commit records are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riverrun.errors import RiverrunError
from riverrun.records.topics import Kind
from tests.runtime.worlds import ALL_IN_ONE, WRITTEN, MemoryWorld, messages

MakeMemory = Callable[..., MemoryWorld]


def _expire(world: MemoryWorld, *kinds: Kind) -> None:
    """Delete all that a topic holds."""
    for kind in kinds:
        topic = world.small.topology.names[kind]
        for partition in range(world.log.partitions(topic)):
            world.memory.delete_records(topic, partition, world.log.high_watermark(topic, partition))


@pytest.mark.parametrize("layout", [ALL_IN_ONE, "ingest features score+labels+learn"])
@pytest.mark.parametrize(
    "gone", [(Kind.DEAD_LETTERS,), (Kind.DEAD_LETTERS, Kind.EVALUATIONS), WRITTEN], ids=["letters", "some", "all"]
)
def test_stages_go_on_behind_what_has_expired(make_memory: MakeMemory, gone: tuple[Kind, ...], layout: str) -> None:
    """A stage whose outputs are all gone takes its word for them, and writes what comes next, once."""
    sent = messages(60)
    undisturbed = make_memory()
    for part in (sent[:80], sent[80:]):
        undisturbed.publish(part)
        undisturbed.run(layout)
    world = make_memory()
    world.publish(sent[:80])
    world.run(layout)
    before = world.contents()
    assert before[Kind.DEAD_LETTERS][0]
    _expire(world, *gone)
    world.publish(sent[80:])
    world.run(layout)
    after, wanted = world.contents(), undisturbed.contents()
    for kind in WRITTEN:
        kept = before[kind] if kind in gone else [[] for _ in before[kind]]
        assert [first + rest for first, rest in zip(kept, after[kind], strict=True)] == wanted[kind], kind


def test_what_a_torn_transaction_left_out_is_still_noticed(make_memory: MakeMemory) -> None:
    """Where the beginning of a topic has expired but not its end, the end is held against the commit record."""
    world = make_memory()
    world.publish(messages(60))
    world.run()
    events = world.small.topology.names[Kind.EVENTS]
    wanted = world.contents()
    world.memory.delete_records(events, 0, world.records(Kind.EVENTS, 0)[10].offset)
    world.run()
    assert world.contents()[Kind.EVENTS][0] == wanted[Kind.EVENTS][0][10:]


def test_lost_commit_records_are_told(make_memory: MakeMemory) -> None:
    """Who has written but can no longer tell how far it was must not begin anew: all would be there twice."""
    world = make_memory()
    world.publish(messages(30))
    world.run()
    _expire(world, Kind.PROGRESS)
    wanted = world.contents()
    member = world.member()
    with pytest.raises(RiverrunError, match=r"the commit records of \w+ in .* have been deleted"):
        world.settle(member)
    assert world.contents() == wanted


def test_a_stage_that_is_new_begins(make_memory: MakeMemory) -> None:
    """That the commit records before its time are gone does not matter to it."""
    undisturbed = make_memory()
    undisturbed.publish(messages(30))
    undisturbed.run()
    world = make_memory()
    world.publish(messages(30))
    world.run("ingest+features")
    progress = world.small.topology.names[Kind.PROGRESS]
    world.memory.delete_records(progress, 0, 1)
    world.run()
    assert world.contents() == undisturbed.contents()
