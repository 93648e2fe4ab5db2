"""Features looked up from what is stored: the same as a partition's own vector, once everything is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.features.lookup import FeatureLookup, Found
from riverrun.records.items import Event, ForeignRead
from riverrun.records.murmur2 import partition_of
from riverrun.runtime.ports import PartialEntry
from riverrun.testing.partial_store import MemoryPartialStore
from tests.features.made import PARTITIONS, Happening, happenings, plan_of
from tests.features.members import events_of, member

PLAN = plan_of()


def _partition(happening: Happening) -> int:
    """Return the partition that a producer gives it."""
    return partition_of(str(happening.fields["customer"]).encode(), PARTITIONS)


def looked_up(lookup: FeatureLookup, store: MemoryPartialStore, event: Event) -> Found:
    """Look an event's features up."""
    wanted = lookup.wanted(event.fields, event.key)
    entries = [store.read(each.group, [each.entity], [each.partition])[0][0] for each in wanted]
    return lookup.features(event.fields, event.time, wanted, entries)


@given(happened=happenings(), ahead=st.sampled_from([0, 1, 13, 700]))
def test_it_equals_the_partitions_own_vector(happened: list[Happening], ahead: int) -> None:
    """With one partition whose partials are all stored, an event's features are those of its vector, bit for bit."""
    store = MemoryPartialStore()
    only = member(PLAN, store)
    log = events_of(happened)
    only.run(log)
    only.flush(len(log))
    time = max(each.time for each in happened) + ahead
    event = events_of([happened[-1]._replace(stream="orders", time=time)])[0]
    event.seq = len(log)
    found = looked_up(FeatureLookup(PLAN, 1), store, event)
    (vector,) = only.run([event])
    assert repr(found.values) == repr(vector.values)


@given(happened=happenings(), ahead=st.sampled_from([0, 1, 13, 700]))
def test_it_equals_a_merged_vector(happened: list[Happening], ahead: int) -> None:
    """With several partitions it merges as a partition does that reads the others' partials, and names what it read."""
    store = MemoryPartialStore()
    members = [member(PLAN, store, partition=each, partitions=PARTITIONS) for each in range(PARTITIONS)]
    logs: list[list[Happening]] = [[], [], []]
    for each in happened:
        logs[_partition(each)].append(each)
    for own, log in zip(members, logs, strict=True):
        own.run(events_of(log))
        own.flush(len(log))
    asked = happened[-1]._replace(stream="orders", time=max(each.time for each in happened) + ahead)
    event = events_of([asked])[0]
    event.seq = len(logs[_partition(asked)])
    found = looked_up(FeatureLookup(PLAN, PARTITIONS), store, event)
    members[_partition(asked)].core.prefetch([event])
    (vector,) = members[_partition(asked)].run([event])
    assert repr(found.values) == repr(vector.values)
    assert set(vector.reads) <= set(found.reads)
    for read in set(found.reads) - set(vector.reads):
        assert read.partition == _partition(asked)


def test_what_is_of_no_use_counts_as_missing() -> None:
    """Nothing stored, partials of other definitions and damaged ones give what nothing folded gives, and no error."""
    store = MemoryPartialStore()
    lookup = FeatureLookup(PLAN, 1)
    event = events_of([Happening("orders", 1_000, {"shop": "s0", "item": "x", "customer": "c0"})])[0]
    nothing = looked_up(lookup, store, event)
    assert nothing.reads == ()
    for wanted in lookup.wanted(event.fields, event.key):
        store.put(0, wanted.group, [PartialEntry(wanted.entity, 1, b"damaged")])
    assert looked_up(lookup, store, event) == nothing


def test_a_newer_partial_is_seen() -> None:
    """What is remembered of a decoded partial is never taken for one that was stored since."""
    store = MemoryPartialStore()
    only, lookup = member(PLAN, store), FeatureLookup(PLAN, 1)
    visit = Happening("visits", 1_000, {"shop": "s0", "item": "x", "customer": "c0", "amount": 1.0, "pages": 2})
    order = events_of([visit._replace(stream="orders", time=1_001)])[0]
    counts = []
    for seq in range(5):
        event = events_of([visit])[0]
        event.seq = seq
        only.run([event])
        only.flush(seq + 1)
        counts.append(looked_up(lookup, store, order).values[0])
    assert counts == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("partitions", [1, 3])
def test_it_asks_for_what_it_needs_only(partitions: int) -> None:
    """Entities are looked for in all partitions, those with the key in the key's alone, missing ones nowhere."""
    lookup = FeatureLookup(PLAN, partitions)
    event = events_of([Happening("orders", 1_000, {"shop": "s0", "item": None, "customer": "c1"})])[0]
    wanted = lookup.wanted(event.fields, event.key)
    local = [each for each in wanted if each.group == "customer"]
    assert [each.partition for each in local] == [partition_of(b"c1", partitions)]
    assert len([each for each in wanted if each.group == "shop"]) == partitions
    assert not [each for each in wanted if "item" in each.group]


def test_reads_say_up_to_where() -> None:
    """A read names partition, group, entity and the position that the partial reflects."""
    store = MemoryPartialStore()
    only = member(PLAN, store)
    visit = Happening("visits", 1_000, {"shop": "s0", "item": "x", "customer": "c0", "amount": 1.0, "pages": 2})
    only.run(events_of([visit, visit]))
    only.flush(2)
    found = looked_up(FeatureLookup(PLAN, 1), store, events_of([visit._replace(stream="orders")])[0])
    assert ForeignRead(0, "shop", "s0", 2) in found.reads
