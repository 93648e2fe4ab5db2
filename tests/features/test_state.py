"""The trailing state: whatever happens to the store or the process, later vectors are the same bit for bit."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.errors import UnavailableError
from riverrun.pipeline import count, last
from riverrun.runtime.ports import PartialEntry, PartialsUnavailableError
from riverrun.testing.partial_store import MemoryPartialStore
from tests.features.made import VISITS, Happening, happenings, plan_of
from tests.features.members import Member, contents, events_of, member

PLAN = plan_of()
SMALL = plan_of({"visits": count(VISITS).by("shop").over("12ms", panes=4)})
ACTIONS = st.sampled_from(
    ["none", "none", "flush", "flush", "ahead", "ahead", "interrupt", "crash", "wipe", "lose", "expire", "away"]
)


class NotedStore(MemoryPartialStore):
    """Notes who is written, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[list[str]] = []

    def put(self, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        self.puts.append([entry.entity for entry in entries])
        return super().put(partition, group, entries)


def visit(time: int, shop: str) -> Happening:
    return Happening("visits", time, {"shop": shop, "customer": "c0", "item": "x"})


def order(time: int, shop: str) -> Happening:
    return Happening("orders", time, {"shop": shop, "customer": "c0"})


@settings(max_examples=150, deadline=None)
@given(happened=happenings(), data=st.data())
def test_no_accident_changes_a_vector(happened: list[Happening], data: st.DataObject) -> None:
    """Crashes, interrupted flushes, forgetting, a store that is wiped, lacks its last writes or is away, at any cuts.

    After each crash a new member loads, replays and goes on; every vector is that of the run nobody disturbed, and
    so is what the next member would load.
    """
    log = events_of(happened)
    calm, store = member(PLAN), MemoryPartialStore()
    stormy = member(PLAN, store)
    stormy.start([])
    saved = []
    for seq, event in enumerate(log):
        saved.append(store.shelf.copy())
        match data.draw(ACTIONS):
            case "flush":
                stormy.flush(seq)
            case "interrupt":
                store.fail_after = data.draw(st.integers(0, 12))
                with contextlib.suppress(UnavailableError):
                    stormy.flush(seq)
                store.fail_after, store.available = None, True
            case "away":
                store.available = False
                with pytest.raises(UnavailableError):
                    stormy.state.load()
                store.available = True
                stormy.start(log[:seq])
            case "crash":
                stormy = member(PLAN, store)
                stormy.start(log[:seq])
            case "lose":
                store.shelf = data.draw(st.sampled_from(saved[-4:])).copy()
            case action:
                _befall(action, stormy, store)
        assert repr(stormy.core.step(event)) == repr(calm.core.step(event))
    stormy.flush(len(log))
    assert store.marker(0) == len(log)
    heir = member(PLAN, store)
    assert heir.start(log) == len(log)
    watermark = calm.core.watermark
    for table in (heir.table, stormy.table):
        assert table.canonical(watermark) == calm.table.canonical(watermark)
    assert heir.core.counters() == calm.core.counters()


def _befall(action: str, stormy: Member, store: MemoryPartialStore) -> None:
    match action:
        case "ahead":
            stormy.state.write_ahead()
        case "wipe":
            store.wipe()
        case "expire":
            stormy.table.expire(30)


def test_what_the_store_lost_before_the_marker_moved_is_written_again() -> None:
    """Only the marker tells that a server restarted without its last writes: until it has moved, all is dirty."""
    log = events_of([visit(1_000, "s0"), visit(1_001, "s0")])
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.start([])
    first.run(log[:1])
    first.flush(1)
    kept = {key: dict(held) for key, held in store.shelf.entries.items()}
    first.run(log[1:])
    store.fail_after = 1
    with pytest.raises(UnavailableError):
        first.flush(2)
    store.fail_after, store.available, store.shelf.entries = None, True, kept
    first.flush(2)
    heir = member(SMALL, store)
    assert heir.start(log) == 2
    assert heir.table.canonical(1_001) == first.table.canonical(1_001)


def test_what_was_written_ahead_is_not_written_again_unless_it_changed() -> None:
    """Ahead goes each entity once, and counts as stored when the marker has moved; a flush writes what changed then."""
    log = events_of([visit(1_000, "s0"), visit(1_000, "s1"), visit(1_001, "s0"), visit(1_001, "s2")])
    store = NotedStore()
    first = member(SMALL, store)
    first.start([])
    first.flush(0)
    first.run(log[:2])
    store.puts.clear()
    first.state.write_ahead()
    first.run(log[2:])
    first.state.write_ahead()
    assert (store.puts, store.marker(0)) == ([["s0", "s1"], ["s2"]], 0)
    first.flush(4)
    assert (store.puts[2:], store.marker(0)) == ([["s0"]], 4)
    heir = member(SMALL, store)
    assert heir.start(log) == 4
    assert heir.table.canonical(1_001) == first.table.canonical(1_001)


def test_what_was_written_ahead_and_lost_is_written_again() -> None:
    """A server that restarts without its last writes has the marker still; the word that was left tells."""
    log = events_of([visit(1_000, "s0"), visit(1_000, "s1")])
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.start([])
    first.flush(0)
    first.run(log[:1])
    kept = store.shelf.copy()
    first.state.write_ahead()
    store.shelf = kept
    first.run(log[1:])
    first.state.write_ahead()
    first.flush(2)
    assert {name for _, name in contents(SMALL, store)} == {"s0", "s1"}
    assert store.marker(0) == 2


def test_a_flush_writes_what_changed_and_moves_the_marker() -> None:
    """Each entry has the position that it reflects; what did not change is not written again."""
    log = events_of([visit(1_000, "s0"), visit(1_000, "s1"), visit(1_001, "s0")])
    store = MemoryPartialStore()
    first = member(SMALL, store)
    assert first.state.load() is None
    first.run(log[:2])
    first.flush(2)
    before = contents(SMALL, store)
    assert {name: position for (_, name), (position, _) in before.items()} == {"s0": 1, "s1": 2}
    first.run(log[2:])
    first.flush(3)
    after = contents(SMALL, store)
    assert after["shop", "s0"][0] == store.marker(0) == 3
    assert after["shop", "s1"] == before["shop", "s1"]


def test_a_wiped_store_is_written_again() -> None:
    """The next flush finds no marker and writes every entity, not only those that changed."""
    log = events_of([visit(1_000, "s0"), visit(1_001, "s1")])
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.state.load()
    first.run(log[:1])
    first.flush(1)
    store.wipe()
    first.run(log[1:])
    first.flush(2)
    assert {name for _, name in contents(SMALL, store)} == {"s0", "s1"}
    assert member(SMALL, store).start(log) == 2


def test_what_is_forgotten_is_deleted_from_the_store() -> None:
    """Else the store would grow for ever; one that came back meanwhile is there with its new position."""
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.start([])
    log = events_of([visit(1_000, "s0"), visit(1_000, "s1"), order(9_000, "s0"), visit(9_000, "s1")])
    first.run(log[:2])
    first.flush(2)
    first.run(log[2:3])
    assert first.table.expire(9) == 2
    first.run(log[3:])
    first.flush(4)
    assert {name: position for (_, name), (position, _) in contents(SMALL, store).items()} == {"s1": 4}
    assert member(SMALL, store).start(log) == 4


@pytest.mark.parametrize("calls", range(6))
def test_an_interrupted_flush_leaves_entries_ahead_of_the_marker_that_are_not_folded_twice(calls: int) -> None:
    """Wherever the flush stopped, the next member replays from the marker and skips what entries hold already."""
    log = events_of([visit(1_000, "s0"), visit(1_001, "s1"), visit(1_002, "s0"), order(1_003, "s0")])
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.state.load()
    first.run(log[:1])
    first.flush(1)
    first.run(log[1:3])
    store.fail_after = calls
    with contextlib.suppress(UnavailableError):
        first.flush(3)
    store.fail_after, store.available = None, True
    ahead = contents(SMALL, store)["shop", "s0"][0]
    second = member(SMALL, store)
    assert second.start(log[:3]) in (1, 3)
    assert ahead == (1 if calls == 0 else 3)
    (vector,) = second.run(log[3:])
    assert vector.values == (2,)


@pytest.mark.parametrize("calls", range(5))
def test_an_interrupted_rewrite_is_no_complete_state(calls: int) -> None:
    """While not everything was written after a wipe, a marker of before must not vouch for it."""
    log = events_of([visit(1_000, "s0"), visit(1_001, "s1"), order(1_002, "s0")])
    store = MemoryPartialStore()
    store.reset(0, 2)  # what a state of other features left: its marker, and no entries
    first = member(SMALL, store)
    assert first.state.load() is None
    first.core.replay(log[0])
    store.fail_after = calls
    with contextlib.suppress(UnavailableError):
        first.flush(1)
    store.fail_after, store.available = None, True
    second = member(SMALL, store)
    second.start(log[:2])
    assert second.run(log[2:])[0].values == (1,)
    assert second.table.canonical(0) == _replayed_afresh()


def _replayed_afresh() -> dict[tuple[str, str], bytes]:
    fresh = member(SMALL)
    fresh.start(events_of([visit(1_000, "s0"), visit(1_001, "s1")]))
    return fresh.table.canonical(0)


@settings(max_examples=60, deadline=None)
@given(happened=happenings(max_size=15), data=st.data())
def test_a_paused_members_writes_lose(happened: list[Happening], data: st.DataObject) -> None:
    """One that was replaced while it slept wakes and flushes: no entry goes back, nor the marker."""
    log = events_of(happened)
    early = data.draw(st.integers(0, len(log) - 1))
    store = MemoryPartialStore()
    sleeper = member(PLAN, store.client())
    sleeper.start([])
    sleeper.flush(0)
    sleeper.run(log[:early])
    heir = member(PLAN, store.client())
    heir.start(log[:early])
    heir.run(log[early:])
    heir.table.expire(30)
    heir.flush(len(log))
    before = contents(PLAN, store)
    sleeper.table.expire(data.draw(st.sampled_from([0, 30])))
    sleeper.flush(early)
    after = contents(PLAN, store)
    assert store.marker(0) == len(log)
    assert {name: after[name] for name in before} == before
    third = member(PLAN, store)
    assert third.start(log) == len(log)
    assert third.table.canonical(heir.core.watermark) == heir.table.canonical(heir.core.watermark)


def test_a_paused_member_that_fills_a_wiped_store_is_found_out() -> None:
    """It writes its old state and sets the marker back: its successor sees that, and writes everything again."""
    log = events_of([visit(1_000, "s0"), visit(1_001, "s1"), visit(1_002, "s0"), order(1_003, "s0")])
    store = MemoryPartialStore()
    sleeper, heir = member(SMALL, store.client()), member(SMALL, store.client())
    sleeper.start([])
    sleeper.flush(0)
    sleeper.run(log[:1])
    heir.start(log[:1])
    heir.run(log[1:3])
    heir.flush(3)
    store.wipe()
    sleeper.flush(1)
    assert store.marker(0) == 1
    heir.run(log[3:])
    heir.flush(4)
    third = member(SMALL, store.client())
    assert third.start(log) == 4
    assert third.table.canonical(0) == heir.table.canonical(0)


def test_other_features_make_the_stored_ones_useless() -> None:
    """They are deleted, those of groups that are no more as well, and all is built again from the log."""
    store = MemoryPartialStore()
    before = plan_of({"last": last(VISITS.item).by("shop", "item").over("12ms")})
    old = member(before, store)
    old.start([])
    old.run(events_of([visit(1_000, "s0")]))
    old.flush(1)
    assert contents(before, store)
    new = member(SMALL, store)
    assert new.state.load() is None
    assert contents(before, store) == contents(SMALL, store) == {}


def test_a_damaged_entry_is_no_reason_to_stop() -> None:
    """What cannot be read is only a cache: everything is deleted and built again from the log."""
    log = events_of([visit(1_000, "s0"), visit(1_001, "s1")])
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.start([])
    first.run(log)
    first.flush(2)
    position, value = contents(SMALL, store)["shop", "s1"]
    store.put(0, "shop", [PartialEntry("s1", position + 1, value[:-1])])
    second = member(SMALL, store)
    assert second.start(log) == 2
    with pytest.raises(PartialsUnavailableError, match=r"damaged.*built again"):
        second.run(events_of([visit(1_002, "s0"), visit(1_003, "s1")]))
    # What it has in memory is of no use to anybody, however it ends.
    second.flush(3)
    assert contents(SMALL, store) == {}
    third = member(SMALL, store)
    assert third.start(log) == 0
    assert third.table.canonical(0) == first.table.canonical(0)


def test_what_is_loaded_and_not_seen_is_stored_as_it_was() -> None:
    """A store that was wiped gets every entity back, those too that no event has needed since the start."""
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.start([])
    first.run(events_of([visit(1_000, "s0"), visit(1_001, "s1")]))
    first.flush(2)
    before = contents(SMALL, store)
    second = member(SMALL, store)
    second.start(events_of([visit(1_000, "s0"), visit(1_001, "s1")]))
    store.wipe()
    second.flush(2)
    assert contents(SMALL, store) == before
    assert len(second.table) == len(first.table)


def test_reset_forgets_what_belongs_to_another_log() -> None:
    """The table, the entries, and what the marker says: the next member starts from the beginning."""
    store = MemoryPartialStore()
    first = member(SMALL, store)
    first.start([])
    first.run(events_of([visit(1_000, "s0")]))
    first.flush(1)
    first.state.reset()
    assert (len(first.table), contents(SMALL, store)) == (0, {})
    assert member(SMALL, store).state.load() is None


def test_partitions_do_not_touch_each_other() -> None:
    """One store serves all: entries, markers and deletions of a partition are its own."""
    store = MemoryPartialStore()
    left, right = (member(SMALL, store, partition=partition, partitions=2) for partition in range(2))
    for each in (left, right):
        each.start([])
        each.run(events_of([visit(1_000 + each.partition, "s0")]))
        each.flush(1)
    left.state.reset()
    assert contents(SMALL, store, 0) == {}
    assert [name for _, name in contents(SMALL, store, 1)] == ["s0"]
    assert member(SMALL, store, partition=1, partitions=2).state.load() == {"shop.events/1/1": 1}
