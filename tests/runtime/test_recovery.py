"""Killed, torn, fenced or cut off from its stores at any point: the outputs are those of an undisturbed run."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from riverrun.errors import RiverrunError, UnavailableError
from riverrun.records.items import DeadLetter, Event
from riverrun.records.topics import Kind
from riverrun.runtime.keyed_state import POSITIONS_KEY, decode_positions
from riverrun.runtime.ports import FencedError, LogUnavailableError, Membership
from riverrun.runtime.task import Task
from riverrun.testing.memory_log import Failure
from riverrun.testing.small_world import asked, layout_of
from services.ingest.core import IngestCore
from services.labels.core import LabelsCore
from tests.runtime.worlds import ALL_IN_ONE, MINUTE, WRITTEN, Contents, Doomed, MemoryWorld, Message, messages

MakeMemory = Callable[..., MemoryWorld]
APART = "ingest features score+labels+learn"
SHARDED = "ingest+features+score+labels learn"
_TRANSACTION_TIMEOUT_MS = 10_000


@pytest.fixture
def undisturbed(make_memory: MakeMemory) -> Contents:
    """What a run that nobody disturbs writes."""
    world = make_memory()
    world.publish(messages(24))
    world.run()
    return world.contents()


def _assert_same(found: Contents, wanted: Contents) -> None:
    for kind in WRITTEN:
        assert found[kind] == wanted[kind], kind


@pytest.mark.parametrize("layout", [ALL_IN_ONE, APART])
def test_killed_at_any_point(make_memory: MakeMemory, undisturbed: Contents, layout: str) -> None:
    """Wherever a member is killed, before a commit, after it, while it writes state or restores it, its successor
    writes what is missing and nothing else.
    """
    spared = make_memory()
    spared.publish(messages(24))
    survivor = Doomed(spared, layout, batch_limit=16)
    assert survivor.rounds_until_killed(0) == ""
    points: dict[str, list[int]] = {}
    for at, name in enumerate(survivor.points.passed, 1):
        points.setdefault(name, []).append(at)
    assert {"opened", "tail", "send", "commit", "committed", "apply", "applied", "put", "mark"} <= set(points)
    for name, found in points.items():
        for at in found[:: 1 + len(found) // 6]:
            world = make_memory()
            world.publish(messages(24))
            assert Doomed(world, layout, batch_limit=16).rounds_until_killed(at) == name
            world.run(layout)
            _assert_same(world.contents(), undisturbed)


@pytest.mark.parametrize("layout", [ALL_IN_ONE, APART])
@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again(make_memory: MakeMemory, undisturbed: Contents, layout: str, seed: int) -> None:
    """Members that are killed one after the other, some while they still restore, get there all the same."""
    rng = random.Random(seed)
    world = make_memory()
    world.publish(messages(24))
    for _ in range(12):
        Doomed(world, layout, batch_limit=5).rounds_until_killed(rng.randrange(1, 150))
        if rng.random() < 0.3:
            world.disk.lose()
    world.run(layout)
    _assert_same(world.contents(), undisturbed)


def test_a_restart_does_not_fold_again_what_was_stored(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a planned stop nothing is replayed: every stage finds its state where it left it."""
    memory.publish(messages(24))
    memory.run()
    replayed: list[object] = []
    monkeypatch.setattr(IngestCore, "replay", lambda self, item: replayed.append(item))
    monkeypatch.setattr(LabelsCore, "replay", lambda self, item: replayed.append(item))
    memory.run()
    assert replayed == []


def test_an_error_that_nothing_mends_leaves_no_trace(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that fails for good in the midst of a batch stops the member, and no state of that batch is stored."""
    memory.publish(messages(24))
    step, left = LabelsCore.step, 20

    def fail(self: LabelsCore, item: Event) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise RiverrunError("it cannot be folded")
        return step(self, item)

    monkeypatch.setattr(LabelsCore, "step", fail)
    worker = memory.member(batch_limit=6)
    with pytest.raises(RiverrunError, match="cannot be folded"):
        memory.settle(worker)
    worker.leave()
    committed = memory.progress("labels")
    store = memory.disk.open(memory.deployment().context(0, frozenset()).state_folder("labels"))
    stored = decode_positions(store.get(POSITIONS_KEY) or b"")
    assert stored is not None
    for place in committed.inputs:
        assert stored[f"{place.topic}/{place.partition}/{place.writer}"] <= place.next


@pytest.mark.parametrize("failure", list(Failure))
@pytest.mark.parametrize("times", [1, 3])
def test_the_log_fails(make_memory: MakeMemory, undisturbed: Contents, failure: Failure, times: int) -> None:
    """Whatever the log refuses for a time, and whether or not a commit of unknown outcome took place, the member goes
    on when it can.
    """
    world = make_memory()
    worker = world.member(batch_limit=8)
    world.publish(messages(24))
    for _ in range(8):
        # Whatever fails at a start needs one.
        world.memory.fail_next(Failure.COMMIT_UNKNOWN)
        world.memory.fail_next(failure, times)
        for _ in range(times + 3):
            worker.round()
            world.memory.advance(6_000)
    world.memory.heal()
    world.settle(worker)
    worker.leave()
    _assert_same(world.contents(), undisturbed)


def test_a_group_that_cannot_be_joined_at_once(
    make_memory: MakeMemory, undisturbed: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that joined only some of its groups when the log failed joins the others later, and no group twice."""
    world = make_memory()
    world.publish(messages(24))
    doomed = Doomed(world, APART)
    doomed.worker.leave()
    doomed.log.memberships.clear()
    join, calls = doomed.log.membership, 0

    def fail_second(group: str, topic: str) -> Membership:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise LogUnavailableError("the log is away")
        return join(group, topic)

    monkeypatch.setattr(doomed.log, "membership", fail_second)
    with pytest.raises(UnavailableError):
        doomed.worker.join()
    doomed.worker.join()
    assert len(doomed.log.memberships) == 3
    world.settle(doomed.worker)
    _assert_same(world.contents(), undisturbed)


def test_the_partial_store_is_away(make_memory: MakeMemory, undisturbed: Contents) -> None:
    """While it is away state trails, and outputs go on; when it is back it is brought level."""
    world = make_memory()
    worker = world.member(batch_limit=8)
    world.publish(messages(24)[:20])
    worker.round()
    world.store.available = False
    world.publish(messages(24)[20:])
    for _ in range(20):
        worker.round()
        world.memory.advance(500)
    assert "unavailable" in worker.trouble
    _assert_same(world.contents(), undisturbed)
    world.store.available = True
    world.settle(worker)
    assert not worker.trouble
    worker.leave()
    assert world.store.marker(0) == len(world.items(Kind.EVENTS))


def test_the_partial_store_is_wiped(make_memory: MakeMemory, undisturbed: Contents) -> None:
    """Wiped while running, and wiped between two members: what it holds in the end is the same."""
    world = make_memory()
    world.publish(messages(24))
    calm = make_memory()
    calm.publish(messages(24))
    calm.run()
    for _ in range(3):
        worker = world.member(batch_limit=5)
        worker.round()
        world.store.wipe()
        worker.round()
        worker.leave()
        world.store.wipe()
    world.run()
    _assert_same(world.contents(), undisturbed)
    assert world.store.shelf.entries == calm.store.shelf.entries


def test_the_partial_store_is_wiped_while_nothing_comes_in(memory: MemoryWorld) -> None:
    """A member at rest notices it by itself, and writes everything again."""
    worker = memory.member()
    memory.publish(messages(24))
    memory.settle(worker)
    stored = dict(memory.store.shelf.entries[0, "place"])
    memory.store.wipe()
    memory.settle(worker)
    assert memory.store.shelf.entries[0, "place"] == stored
    assert memory.store.marker(0) == len(memory.items(Kind.EVENTS))


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("layout", [ALL_IN_ONE, APART])
def test_torn_transactions(make_memory: MakeMemory, undisturbed: Contents, layout: str, *, noticed: bool) -> None:
    """A delayed commit that ends the next transaction too early, at any of its records, loses and repeats nothing."""
    torn = 0
    for at in range(1, 40, 3):
        world = make_memory()
        world.publish(messages(24))
        doomed = Doomed(world, layout, batch_limit=6)
        for _ in range(6):
            world.memory.hold_commit(noticed=noticed)
            doomed.worker.round()
            world.memory.advance(6_000)
            ended = doomed.release_at(at)
            doomed.worker.round()
            doomed.points.disarm()
            torn += sum(ended)
            world.memory.advance(6_000)
        world.memory.release_commits()
        world.settle(doomed.worker)
        doomed.worker.leave()
        _assert_same(world.contents(), undisturbed)
    assert torn > 0 or noticed


@pytest.mark.parametrize("left", range(1, 6))
@pytest.mark.parametrize("limit", [1, 20])
def test_torn_while_the_order_of_inputs_was_open(memory: MemoryWorld, left: int, limit: int) -> None:
    """What a torn transaction left of an order that would not be chosen again stays, and each record counts once."""
    who = [f"w{number}" for number in range(4)]
    late = [Message("asked", name, asked(number, name, "x", 50 * MINUTE, 1.0)) for number, name in enumerate(who)]
    soon = [
        Message("answered", name, asked(number, name, "x", number * MINUTE, 1.0).replace(b"size", b"worth"))
        for number, name in enumerate(who)
    ]
    bad = Message("asked", "w0", b"{")
    worse = Message("answered", "w0", b"[")
    doomed = Doomed(memory, "ingest", batch_limit=20)
    for _ in range(5):
        doomed.worker.round()
        memory.memory.advance(1_000)
    memory.publish([late[0], bad])
    memory.memory.hold_commit(noticed=False)
    for _ in range(5):
        doomed.worker.round()
        memory.memory.advance(1_000)
    memory.publish([late[1], bad, late[2], late[1], late[3]])
    torn = doomed.release_at(left + 1)
    doomed.worker.round()
    # Only now comes what the merge would have put first.
    memory.publish([worse, *soon, worse])
    doomed.bury()
    # Killed again after its first transaction, which must have taken in all that was left.
    successor = Doomed(memory, "ingest", batch_limit=limit)
    successor.worker.round()
    successor.bury()
    memory.run("ingest")
    assert torn == [1]
    events = [item for item, _ in memory.items(Kind.EVENTS)]
    assert sorted((item.stream, item.id) for item in events if isinstance(item, Event)) == sorted(
        [("asked", f"a{number}") for number in range(4)] + [("answered", f"a{number}") for number in range(4)]
    )
    letters = [item.source for item, _ in memory.items(Kind.DEAD_LETTERS) if isinstance(item, DeadLetter)]
    assert len(letters) == len(set(letters)) == 4
    counters = memory.progress("ingest").counters
    assert (counters["accepted"], counters["dead_letters"], counters["duplicates"]) == (8, 4, 1)


def test_two_members_believe_that_they_own_the_partition(make_memory: MakeMemory, undisturbed: Contents) -> None:
    """A member that was frozen at any point, replaced, and thawed, writes nothing more."""
    at = 1
    while True:
        world = make_memory()
        world.publish(messages(24))
        zombie = Doomed(world, batch_limit=9)
        successors = zombie.replace_at(at)
        for _ in range(8):
            zombie.worker.round()
            world.memory.advance(6_000)
        if not successors:
            break
        world.settle(zombie.worker, *successors)
        zombie.worker.leave()
        _assert_same(world.contents(), undisturbed)
        at += 1 + at // 10


def test_a_task_that_has_not_committed_yet_is_fenced_by_another_chain(
    make_memory: MakeMemory, undisturbed: Contents
) -> None:
    """Of two chains that share stages, and of which neither has committed anything, the one that came later wins."""
    world = make_memory()
    world.publish(messages(24))
    world.run("ingest")
    chain = world.small.chains(layout_of("features+score+labels+learn"))[0]
    early = Task(chain, world.deployment(batch_limit=9), 0)
    early.open()
    world.run("score+labels+learn")
    with pytest.raises(FencedError):
        early.run_once()
    early.close()
    world.run(APART)
    _assert_same(world.contents(), undisturbed)


def test_a_successor_waits_for_no_transaction_of_its_predecessor(make_memory: MakeMemory) -> None:
    """Killed with a transaction open in one of its places, nobody waits for the broker to give that up.

    Partitions share the topic of examples, whose end each of them reads when it is opened.
    """
    spared = make_memory(partitions=2)
    spared.publish(messages(24))
    survivor = Doomed(spared, SHARDED, batch_limit=16)
    survivor.rounds_until_killed(0)
    commits = [at for at, name in enumerate(survivor.points.passed, 1) if name == "commit"]
    assert len(commits) > 4
    for at in commits:
        world = make_memory(partitions=2)
        world.publish(messages(24))
        assert Doomed(world, SHARDED, batch_limit=16).rounds_until_killed(at) == "commit"
        before = world.memory.now
        successor = world.member(SHARDED)
        successor.round()
        assert world.memory.now - before < _TRANSACTION_TIMEOUT_MS
        successor.leave()
