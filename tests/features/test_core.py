"""The stage's fold: vectors, what they record of other partitions, counts, and memory that stays bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.errors import UnavailableError
from riverrun.pipeline import count, mean
from riverrun.records.items import Event, ForeignRead, Source
from riverrun.runtime.ports import PartialEntry
from riverrun.testing.partial_store import MemoryPartialStore
from tests.features.made import CUSTOMERS, ORDERS, PARTITIONS, VISITS, Happening, happenings, plan_of
from tests.features.members import TOPIC, events_of, member

PLAN = plan_of()
SHOPS = plan_of({"visits": count(VISITS).by("shop").over("12ms", panes=4)})


def visit(time: int, shop: str = "s0") -> Happening:
    return Happening("visits", time, {"shop": shop, "customer": "c0"})


def order(time: int, shop: str = "s0") -> Happening:
    return Happening("orders", time, {"shop": shop, "customer": "c0"})


def test_only_events_to_predict_on_get_a_vector() -> None:
    """It carries the event's id, key, time and place, and what came before it."""
    first = member(SHOPS)
    log = events_of([visit(1_000), order(1_001), visit(1_002)])
    assert first.core.step(log[0]) == ()
    (vector,) = first.core.step(log[1])
    assert (vector.id, vector.key, vector.time, vector.event_seq) == ("e1", "c0", 1_001, 1)
    assert (vector.values, vector.reads, vector.source) == ((1,), (), Source(TOPIC, 0, 1))
    assert first.core.step(log[2]) == ()
    assert first.core.counters() == {"events": 3, "vectors": 1}
    assert first.core.watermark == 1_002


def test_a_replay_gives_no_vector_and_counts_nothing() -> None:
    """Counts come with the commit that the replay leads up to."""
    first = member(SHOPS)
    for event in events_of([visit(1_000), order(1_001)]):
        first.core.replay(event)
    assert first.core.counters() == {"events": 0, "vectors": 0}
    first.core.resume({"events": 2, "vectors": 1}, 1_007)
    assert (first.core.counters(), first.core.watermark) == ({"events": 2, "vectors": 1}, 1_007)
    first.core.resume({}, 0)
    assert first.core.watermark == 1_007, "the watermark never goes back"


@settings(max_examples=60, deadline=None)
@given(happened=happenings(), cut=st.integers(0, 30), begin=st.integers(0, 30))
def test_a_run_that_was_cut_and_replayed_gives_the_same_vectors(
    happened: list[Happening], cut: int, begin: int
) -> None:
    """Nothing depends on where a run began: replaying from anywhere before a loaded table's place changes nothing."""
    log = events_of(happened)
    cut = min(cut, len(log))
    whole = member(PLAN).run(log)
    store = MemoryPartialStore()
    first = member(PLAN, store)
    first.start([])
    before = first.run(log[:cut])
    first.flush(cut)
    second = member(PLAN, store)
    second.state.load()
    for event in log[min(begin, cut) : cut]:
        second.core.replay(event)
    second.core.resume({}, max((event.time for event in log[:cut]), default=0))
    assert repr(before + second.run(log[cut:])) == repr(whole)


def test_a_table_does_not_grow_without_bound() -> None:
    """Entities that nothing can read again are forgotten along the way, however many there ever were."""
    first = member(SHOPS)
    largest = 0
    for seq, event in enumerate(events_of([visit(1_000 + number, f"s{number}") for number in range(6_000)])):
        first.core.step(event)
        largest = max(largest, len(first.table))
        assert len(first.table) <= seq + 1
    assert largest < 1_200


def _spread(store: MemoryPartialStore) -> None:
    """Store three visits in partition 1 and one in partition 2."""
    for partition, visits in ((1, 3), (2, 1)):
        each = member(SHOPS, store, partition=partition, partitions=PARTITIONS)
        each.start([])
        each.run(events_of([visit(1_000)] * visits))
        each.flush(visits)


def test_a_vector_records_what_it_read_of_other_partitions() -> None:
    """The log does not tell what they had stored by then, so the vector does: partition, entity and position."""
    store = MemoryPartialStore()
    _spread(store)
    first = member(SHOPS, store, partitions=PARTITIONS)
    log = events_of([visit(1_000), order(1_001), order(1_001, "unknown")])
    first.core.prefetch(log)
    vectors = first.run(log)
    assert [vector.values for vector in vectors] == [(5,), (0,)]
    assert vectors[0].reads == (ForeignRead(1, "shop", "s0", 3), ForeignRead(2, "shop", "s0", 1))
    assert vectors[1].reads == ()


def test_a_batch_is_read_at_once() -> None:
    """One read for each group that is not local, however many events; items of other stages are passed over."""
    store = MemoryPartialStore()
    first = member(PLAN, store, partitions=PARTITIONS)
    log = events_of([Happening("orders", 1_000, {"shop": f"s{n}", "item": "x", "customer": "c0"}) for n in range(9)])
    first.core.prefetch([object(), *log, *events_of([visit(1_000)])])
    assert store.reads == sum(not group.is_local for group in PLAN.groups)
    first.run(log)
    assert store.reads == sum(not group.is_local for group in PLAN.groups)


def test_what_was_not_prefetched_is_looked_up() -> None:
    """An event that another stage of the chain made from the batch finds the other partitions all the same."""
    store = MemoryPartialStore()
    _spread(store)
    first = member(SHOPS, store, partitions=PARTITIONS)
    log = events_of([order(1_001), order(1_001)])
    assert [vector.values for vector in first.run(log)] == [(4,), (4,)]
    assert store.reads == 1
    first.core.prefetch([])
    first.run(log[:1])
    assert store.reads == 2, "a batch does not go on with what the last one read"


def test_local_groups_and_single_partitions_read_nothing() -> None:
    """There is nothing to merge: no round trip is made."""
    store = MemoryPartialStore()
    local = plan_of({"visits": mean(VISITS.amount).by("customer").over("12ms")})
    for plan, partitions in ((local, PARTITIONS), (SHOPS, 1)):
        each = member(plan, store, partitions=partitions)
        log = events_of([order(1_000)])
        each.core.prefetch(log)
        each.run(log)
    assert store.reads == 0


def test_other_features_of_another_member_are_as_good_as_none() -> None:
    """While versions change, an entry of another definition is passed over, and so is a damaged one."""
    store = MemoryPartialStore()
    _spread(store)
    changed = plan_of({"visits": count(VISITS).by("shop").over("24ms", panes=4)})
    log = events_of([order(1_001)])
    (vector,) = member(changed, store, partitions=PARTITIONS).run(log)
    assert (vector.values, vector.reads) == ((0,), ())
    store.put(1, "shop", [PartialEntry("s0", 99, next(store.scan(1, "shop")).value[:-1])])
    (vector,) = member(SHOPS, store, partitions=PARTITIONS).run(log)
    # Of the other two, what each has of the shop.
    assert [read.partition for read in vector.reads] == [2]


def test_a_store_that_is_away_is_told() -> None:
    """The runtime backs off and tries again; no vector is made of half the data."""
    store = MemoryPartialStore()
    first = member(SHOPS, store, partitions=PARTITIONS)
    store.available = False
    with pytest.raises(UnavailableError):
        first.core.prefetch(events_of([order(1_001)]))


@settings(max_examples=60, deadline=None)
@given(happened=happenings(), data=st.data())
def test_a_served_vector_can_be_recomputed_from_the_log(happened: list[Happening], data: st.DataObject) -> None:
    """Its own partition's events before it, and of the others those before the positions in its reads."""
    store = MemoryPartialStore()
    members = [member(PLAN, store, partition=partition, partitions=PARTITIONS) for partition in range(PARTITIONS)]
    logs: list[list[Event]] = [[] for _ in members]
    for each in members:
        each.start([])
    for happening in happened:
        mine = happening.partition
        event = events_of([happening])[0]
        event.seq = len(logs[mine])
        members[mine].core.prefetch([event])
        for vector in members[mine].core.step(event):
            assert repr(_recomputed(logs, mine, event, vector.reads)) == repr(vector.values)
        logs[mine].append(event)
        if data.draw(st.booleans()):
            members[mine].flush(len(logs[mine]))


def _recomputed(logs: list[list[Event]], mine: int, event: Event, reads: tuple[ForeignRead, ...]) -> tuple[object, ...]:
    store = MemoryPartialStore()
    for read in reads:
        other = member(PLAN, partition=read.partition, partitions=PARTITIONS)
        other.start(logs[read.partition][: read.position])
        group = [each.id for each in PLAN.groups].index(read.group)
        store.put(
            read.partition, read.group, [each for each in other.table.entries(group) if each.entity == read.entity]
        )
    again = member(PLAN, store, partition=mine, partitions=PARTITIONS)
    again.start(logs[mine])
    (vector,) = again.core.step(event)
    return vector.values


def test_the_customers_name_their_partitions() -> None:
    """The tests above rest on it: a customer's events are all in one partition, as keys are."""
    assert [Happening("orders", 0, {"customer": name}).partition for name in CUSTOMERS] == list(range(PARTITIONS))
    assert ORDERS.key_field == VISITS.key_field == "customer"
