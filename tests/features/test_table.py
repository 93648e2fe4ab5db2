"""Vectors held against a naive recomputation, and against tables that forgot, stored and loaded meanwhile."""

from __future__ import annotations

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.features import FeatureTable, ForeignPartial
from riverrun.pipeline import count, last, mean, sum_
from riverrun.records.items import FieldValue
from tests.features.comparing import assert_close, bits
from tests.features.made import FEATURES, ORDERS, PARTITIONS, VISITS, Happening, copied, happenings, plan_of
from tests.features.naive import NaiveFeatures

PLAN = plan_of()


def update(table: FeatureTable, happening: Happening, seq: int) -> None:
    table.update(happening.stream, happening.fields, happening.time, seq)


def folded(events: list[Happening], partition: int = 0) -> FeatureTable:
    table = FeatureTable(PLAN, partition)
    for seq, happening in enumerate(events):
        update(table, happening, seq)
    return table


@settings(max_examples=150, deadline=None)
@given(events=happenings())
def test_vectors_equal_a_naive_recomputation(events: list[Happening]) -> None:
    """Panes, caches and dropped late events come to what the definition of the window says of all events."""
    table, naive = FeatureTable(PLAN), NaiveFeatures(FEATURES)
    for seq, happening in enumerate(events):
        assert_close(table.vector(happening.fields, happening.time), naive.vector(happening))
        update(table, happening, seq)
        naive.add(happening)
    assert table.watermark == naive.watermark()


@settings(max_examples=60, deadline=None)
@given(events=happenings(max_size=15), asked=happenings(max_size=4))
def test_asking_changes_nothing(events: list[Happening], asked: list[Happening]) -> None:
    """A vector at any time, of anything, leaves every later vector and all that is stored as it was."""
    quiet, busy = FeatureTable(PLAN), FeatureTable(PLAN)
    for seq, happening in enumerate(events):
        for other in asked:
            busy.vector(other.fields, other.time)
        mine = busy.vector(happening.fields, happening.time)
        assert bits(mine) == bits(quiet.vector(happening.fields, happening.time))
        update(quiet, happening, seq)
        update(busy, happening, seq)
    assert busy.canonical(busy.watermark) == quiet.canonical(quiet.watermark)


@settings(max_examples=60, deadline=None)
@given(events=happenings(max_size=20), later=happenings(max_size=5))
def test_a_vector_holds_earlier_events_only(events: list[Happening], later: list[Happening]) -> None:
    """It is a function of the events before it: those that come after it change nothing, whatever their time."""
    asking = Happening("orders", events[-1].time, events[-1].fields)
    table = folded(events)
    before = table.vector(asking.fields, asking.time)
    for seq, happening in enumerate([asking, *later]):
        update(table, happening, len(events) + seq)
    assert bits(folded(events).vector(asking.fields, asking.time)) == bits(before)


def test_an_event_does_not_count_itself() -> None:
    """The first order of a shop sees none, the second one; a value of the order itself is read all the same."""
    plan = plan_of({"orders": count(ORDERS).by("shop").over("12ms"), "amount": ORDERS.amount.fallback(0.0)})
    table = FeatureTable(plan)
    fields: dict[str, FieldValue] = {"shop": "s0", "amount": 2.5}
    assert table.vector(fields, 1_000) == (0, 2.5)
    table.update("orders", fields, 1_000, 0)
    assert table.vector(fields, 1_000) == (1, 2.5)


def test_aggregates_are_combined_by_arithmetic() -> None:
    """Features are expressions over aggregates; what is missing makes the feature missing, or falls back."""
    visits = count(VISITS).by("shop").over("12ms")
    plan = plan_of(
        {
            "per_visit": sum_(VISITS.amount).by("shop").over("12ms") / visits,
            "or_none": mean(VISITS.amount).by("shop").over("12ms") + 1,
            "or_zero": mean(VISITS.amount).by("shop").over("12ms").fallback(0.0),
        }
    )
    table = FeatureTable(plan)
    asking: dict[str, FieldValue] = {"shop": "s0"}
    assert table.vector(asking, 1_000) == (None, None, 0.0)
    table.update("visits", {"shop": "s0", "amount": 3.0}, 1_000, 0)
    table.update("visits", {"shop": "s0", "amount": None}, 1_000, 1)
    assert table.vector(asking, 1_000) == (1.5, 4.0, 3.0)
    assert table.vector({"shop": None}, 1_000) == (None, None, 0.0)


def test_a_window_ends_with_the_pane_of_the_time() -> None:
    """Twelve milliseconds in four panes: a pane leaves as a whole, and one older than the ring is not read."""
    table = FeatureTable(plan_of({"visits": count(VISITS).by("shop").over("12ms", panes=4)}))
    shop: dict[str, FieldValue] = {"shop": "s0"}
    for seq, time in enumerate((1_002, 1_004, 1_005, 1_013)):
        table.update("visits", shop, time, seq)
    counts = {time: table.vector(shop, time)[0] for time in (1_001, 1_004, 1_010, 1_013, 1_014, 1_017, 1_022, 1_023)}
    assert counts == {1_001: 0, 1_004: 2, 1_010: 3, 1_013: 4, 1_014: 2, 1_017: 1, 1_022: 1, 1_023: 0}


def test_a_late_event_counts_while_its_pane_is_kept() -> None:
    """One that falls into the oldest pane kept is folded there; one that is older changes nothing."""
    table = FeatureTable(plan_of({"visits": count(VISITS).by("shop").over("12ms", panes=4)}))
    shop: dict[str, FieldValue] = {"shop": "s0"}
    table.update("visits", shop, 1_013, 0)
    table.update("visits", shop, 1_001, 1)
    assert table.vector(shop, 1_013) == (1,)
    table.update("visits", shop, 1_002, 2)
    assert table.vector(shop, 1_013) == (2,)


Action = st.sampled_from(["go on", "go on", "go on", "expire", "look", "store", "crash"])


@settings(max_examples=150, deadline=None)
@given(events=happenings(), data=st.data())
def test_storing_loading_and_forgetting_change_no_vector(events: list[Happening], data: st.DataObject) -> None:
    """A table that was stored and loaded, cut off and replayed, or swept at any point, goes on bit for bit."""
    calm, stormy = FeatureTable(PLAN), FeatureTable(PLAN)
    saved, saved_at = copied(PLAN, stormy), 0
    for seq, happening in enumerate(events):
        action = data.draw(Action)
        if action == "expire":
            stormy.expire(data.draw(st.integers(1, 20)))
        elif action == "look":
            stormy.vector(happening.fields, happening.time + 5)
        elif action == "store":
            stormy = copied(PLAN, stormy)
            saved, saved_at = copied(PLAN, stormy), seq
        elif action == "crash":
            stormy = copied(PLAN, saved)
            for missed in range(data.draw(st.integers(0, saved_at)), seq):
                update(stormy, events[missed], missed)
        mine = stormy.vector(happening.fields, happening.time)
        assert bits(mine) == bits(calm.vector(happening.fields, happening.time))
        update(calm, happening, seq)
        update(stormy, happening, seq)
    assert stormy.canonical(stormy.watermark) == calm.canonical(calm.watermark)


def test_everything_is_forgotten_at_last() -> None:
    """Long after its last event no entity is held, and each is told with its position, to be deleted."""
    plan = plan_of({"visits": count(VISITS).by("shop").over("12ms")})
    table = FeatureTable(plan)
    table.update("visits", {"shop": "s0"}, 1_000, 0)
    table.update("visits", {"shop": "s1"}, 1_000, 1)
    table.update("orders", {"shop": "s1"}, 1_023, 2)
    assert table.expire(10) == 0, "two windows back can still be read"
    table.update("orders", {"shop": "s1"}, 1_024, 3)
    assert (table.expire(1), table.expire(10), len(table)) == (1, 1, 0)
    assert table.forgotten(0) == [("s0", 1), ("s1", 2)]
    assert list(table.dirty(0)) == []
    table.clear_dirty()
    assert table.forgotten(0) == []


def test_a_forgotten_entity_that_comes_back_is_stored_again() -> None:
    """It is forgotten, with the position that it had, and dirty with its new one: delete, then put."""
    table = FeatureTable(plan_of({"visits": count(VISITS).by("shop").over("12ms")}))
    table.update("visits", {"shop": "s0"}, 1_000, 0)
    table.clear_dirty()
    table.update("orders", {"shop": "s0"}, 9_000, 1)
    assert table.expire(1) == 1
    table.update("visits", {"shop": "s0"}, 9_000, 2)
    assert table.forgotten(0) == [("s0", 1)]
    assert [(entry.entity, entry.position) for entry in table.dirty(0)] == [("s0", 3)]


def test_only_what_changed_is_dirty() -> None:
    """After a note that all was stored, only entities of later events have to be stored again."""
    table = FeatureTable(plan_of({"visits": count(VISITS).by("shop").over("12ms")}))
    for seq, shop in enumerate(("s0", "s1", "s0")):
        table.update("visits", {"shop": shop}, 1_000, seq)
    assert [entry.position for entry in table.dirty(0)] == [3, 2]
    table.clear_dirty()
    table.update("visits", {"shop": "s1"}, 1_000, 3)
    assert [(entry.entity, entry.position) for entry in table.dirty(0)] == [("s1", 4)]
    assert [entry.entity for entry in table.entries(0)] == ["s0", "s1"]


def others(tables: list[FeatureTable], mine: int, group: int, name: str) -> list[ForeignPartial]:
    """Return what the other partitions have of an entity, through the bytes that they store."""
    return [
        tables[mine].decode(group, entry, partition)
        for partition, table in enumerate(tables)
        if partition != mine
        for entry in table.entries(group)
        if entry.entity == name
    ]


@settings(max_examples=100, deadline=None)
@given(events=happenings())
def test_partitions_merged_equal_a_naive_recomputation(events: list[Happening]) -> None:
    """A vector that merges the others' partials, as stored, is what the window's definition says of all events."""
    tables = [FeatureTable(PLAN, partition) for partition in range(PARTITIONS)]
    naive = NaiveFeatures(FEATURES)
    for seq, happening in enumerate(events):
        mine = happening.partition
        found = tables[mine].vector(happening.fields, happening.time, partial(others, tables, mine))
        assert_close(found, naive.vector(happening, mine))
        update(tables[mine], happening, seq)
        naive.add(happening, mine)


@settings(max_examples=60, deadline=None)
@given(events=happenings())
def test_partitions_merged_equal_one_table(events: list[Happening]) -> None:
    """At one watermark, partitions merged tell what a single table of all events does; only ``last`` minds ties."""
    single = FeatureTable(PLAN)
    tables = [FeatureTable(PLAN, partition) for partition in range(PARTITIONS)]
    for seq, happening in enumerate({happening.time: happening for happening in events}.values()):
        mine = happening.partition
        tables[mine].watermark = single.watermark
        found = tables[mine].vector(happening.fields, happening.time, partial(others, tables, mine))
        assert_close(found, single.vector(happening.fields, happening.time))
        update(single, happening, seq)
        update(tables[mine], happening, seq)


def test_of_equal_times_the_higher_partition_is_last() -> None:
    """The order in which partitions merge is fixed, so every reader gets the same value of a tie."""
    plan = plan_of({"last": last(VISITS.item).by("shop").over("12ms")})
    tables = [FeatureTable(plan, partition) for partition in range(3)]
    for partition, item in ((2, "two"), (0, "zero"), (1, "one")):
        tables[partition].update("visits", {"shop": "s0", "item": item}, 1_000, 0)
    for mine in range(3):
        found = tables[mine].vector({"shop": "s0"}, 1_000, partial(others, tables, mine))
        assert found == ("two",)


def test_a_local_group_asks_no_other_partition() -> None:
    """An entity that includes the key lies in one partition: nobody else is asked of it."""
    asked: list[str] = []

    def foreign(group: int, name: str) -> list[ForeignPartial]:
        asked.append(PLAN.groups[group].id)
        return []

    FeatureTable(PLAN).vector({"shop": "s0", "customer": "c0", "item": "x"}, 1_000, foreign)
    assert sorted(asked) == sorted(group.id for group in PLAN.groups if group.id != "customer")
    assert [group.id for group in PLAN.groups if group.is_local] == ["customer"]
