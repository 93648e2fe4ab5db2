"""A table within a bound of memory is the same table: what it gives, stores and forgets, whatever went to disk."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.errors import UnavailableError
from riverrun.features import FeatureTable, ForeignPartial
from riverrun.features.bounded import BoundedEntities
from riverrun.features.entity import Entity
from riverrun.features.entries import EntryCodec
from riverrun.features.panes import Column, RingLayout
from riverrun.features.partials import Count
from riverrun.pipeline import count
from riverrun.records.items import FieldValue
from riverrun.runtime.packed import pack
from riverrun.runtime.ports import PartialEntry
from riverrun.testing.key_value import MemoryKeyValueStore
from tests.features.comparing import bits
from tests.features.made import VISITS, Happening, happenings, plan_of

PLAN = plan_of()
TIGHT = 1
"""A bound under which no two entities stay in memory."""


def bounded(memory: int = TIGHT) -> FeatureTable:
    return FeatureTable(PLAN, memory=memory, store=MemoryKeyValueStore())


def stored(table: FeatureTable) -> list[list[PartialEntry]]:
    return [sorted(table.entries(number)) for number in range(len(PLAN.groups))]


def changed(table: FeatureTable) -> list[list[PartialEntry]]:
    return [list(table.dirty(number)) for number in range(len(PLAN.groups))]


@settings(max_examples=150, deadline=None)
@given(events=happenings(), memory=st.sampled_from([TIGHT, 30_000, 200_000]), flush_every=st.integers(1, 9))
def test_a_bound_changes_no_bit(events: list[Happening], memory: int, flush_every: int) -> None:
    """Vectors, what is to be stored, and all that can be read are those of a table that keeps everything in memory."""
    free, tight = FeatureTable(PLAN), bounded(memory)
    for seq, happening in enumerate(events):
        mine, theirs = (table.vector(happening.fields, happening.time) for table in (tight, free))
        assert bits(mine) == bits(theirs)
        for table in (tight, free):
            table.update(happening.stream, happening.fields, happening.time, seq)
        assert changed(tight) == changed(free)
        assert len(tight) == len(free)
        if seq % flush_every == 0:
            tight.clear_dirty()
            free.clear_dirty()
    assert stored(tight) == stored(free)
    assert tight.canonical(tight.watermark) == free.canonical(free.watermark)


@settings(max_examples=100, deadline=None)
@given(events=happenings(), sweep_every=st.integers(1, 5))
def test_what_is_on_disk_is_forgotten_too(events: list[Happening], sweep_every: int) -> None:
    """Sweeps change no vector; once all windows are over, a bounded table is as empty as any, and says what went."""
    free, tight = FeatureTable(PLAN), bounded()
    gone: set[tuple[int, str, int]] = set()
    for seq, happening in enumerate(events):
        assert bits(tight.vector(happening.fields, happening.time)) == bits(
            free.vector(happening.fields, happening.time)
        )
        for table in (tight, free):
            table.update(happening.stream, happening.fields, happening.time, seq)
        if seq % sweep_every == 0:
            # Twice: the first time may end the round before.
            for table in (tight, free, tight, free):
                table.expire(100)
            assert stored(tight) == stored(free)
    last = {(number, entry.entity): entry.position for number, held in enumerate(stored(tight)) for entry in held}
    tight.clear_dirty()
    tight.watermark += 1_000_000
    for _ in range(4):
        tight.expire(100)
        for number in range(len(PLAN.groups)):
            gone |= {(number, name, position) for name, position in tight.forgotten(number)}
    assert gone == {(number, name, position) for (number, name), position in last.items()}
    assert len(tight) == 0
    assert stored(tight) == [[] for _ in PLAN.groups]


def test_only_those_seen_last_are_in_memory() -> None:
    """Of a thousand entities as many stay in memory as fit; one that comes back takes the place of the oldest."""
    plan = plan_of({"visits": count(VISITS).by("shop").over("12ms")})
    entities = BoundedEntities(plan, [EntryCodec(group) for group in plan.groups], MemoryKeyValueStore(), 50_000)
    (group,) = entities.groups()
    for number in range(1_000):
        group[f"s{number}"] = Entity(number, [None])
    held = entities.in_memory()
    assert 10 < len(held) < 200
    assert held == [(0, f"s{number}") for number in range(1_000 - len(held), 1_000)]
    assert len(group) == 1_000
    assert sorted(group) == sorted(f"s{number}" for number in range(1_000))
    back = group.get("s0")
    assert back is not None
    assert back.position == 0
    assert entities.in_memory() == [*held[1:], (0, "s0")]
    assert len(group) == 1_000


def test_a_look_leaves_an_entity_where_it_is() -> None:
    """``[name]`` and ``in`` neither bring an entity into memory nor make it one that was just seen."""
    plan = plan_of({"visits": count(VISITS).by("shop").over("12ms")})
    entities = BoundedEntities(plan, [EntryCodec(group) for group in plan.groups], MemoryKeyValueStore(), 5_000)
    (group,) = entities.groups()
    for number in range(30):
        group[f"s{number}"] = Entity(number, [None])
    held = entities.in_memory()
    assert group["s0"].position == 0
    assert held[0][1] in group
    assert "nobody" not in group
    assert entities.in_memory() == held


def test_an_entity_that_is_loaded_twice_is_one() -> None:
    """A scan of the partial store may give an entry twice: the later one counts, wherever the first went meanwhile."""
    table = bounded()
    fields: dict[str, FieldValue] = {"shop": "s0", "item": "x", "customer": "c0", "amount": 1.0, "pages": 1}
    source = FeatureTable(PLAN)
    source.update("visits", fields, 1_000, 0)
    older = [list(source.entries(number)) for number in range(len(PLAN.groups))]
    source.update("visits", fields, 1_001, 1)
    for entries in (older, [list(source.entries(number)) for number in range(len(PLAN.groups))]):
        for number, held in enumerate(entries):
            table.load(number, {name: pack(position, value) for name, position, value in held})
    assert stored(table) == stored(source)
    assert len(table) == len(source)


@settings(max_examples=50, deadline=None)
@given(events=happenings(max_size=15), others=happenings(max_size=15))
def test_other_partitions_are_merged_all_the_same(events: list[Happening], others: list[Happening]) -> None:
    """A vector that merges another partition's partials does not depend on where this partition's are."""
    foreign = FeatureTable(PLAN, 1)
    for seq, happening in enumerate(others):
        foreign.update(happening.stream, happening.fields, happening.time, seq)
    free, tight = FeatureTable(PLAN), bounded()

    def find(number: int, name: str) -> list[ForeignPartial]:
        return [free.decode(number, entry, 1) for entry in foreign.entries(number) if entry.entity == name]

    for seq, happening in enumerate(events):
        mine, theirs = (table.vector(happening.fields, happening.time, find) for table in (tight, free))
        assert bits(mine) == bits(theirs)
        for table in (tight, free):
            table.update(happening.stream, happening.fields, happening.time, seq)


def test_a_new_table_starts_with_an_empty_store() -> None:
    """What an earlier process has left on disk belongs to nobody."""
    store = MemoryKeyValueStore()
    before = FeatureTable(PLAN, memory=TIGHT, store=store)
    for number in range(300):
        before.update("visits", {"shop": f"s{number}", "customer": "c0"}, 1_000, number)
    assert list(store.scan(b""))
    after = FeatureTable(PLAN, memory=TIGHT, store=store)
    assert len(after) == 0
    assert not list(store.scan(b""))


def test_nothing_is_lost_while_the_disk_is_full() -> None:
    """A write that fails is told, and made up for by the next one that succeeds."""
    store = MemoryKeyValueStore()
    table, free = FeatureTable(PLAN, memory=TIGHT, store=store), FeatureTable(PLAN)
    store.failure = UnavailableError("the disk is full")
    seq = 0

    def visit(which: FeatureTable, number: int) -> None:
        which.update("visits", {"shop": f"s{number}", "customer": "c0"}, 1_000, number)

    def visits() -> None:
        nonlocal seq
        for seq in range(1_000):
            visit(table, seq)

    with pytest.raises(UnavailableError, match="full"):
        visits()
    store.failure = None
    for number in range(seq + 1):
        visit(free, number)
        visit(table, number)
    assert stored(table) == stored(free)


@given(
    newest=st.integers(-50, 50), pane_ms=st.integers(1, 9), panes=st.integers(1, 9), watermark=st.integers(-999, 999)
)
def test_when_a_ring_will_be_forgotten_is_known(newest: int, pane_ms: int, panes: int, watermark: int) -> None:
    """``forgotten_from`` is the first watermark at which ``is_forgotten`` says so."""
    layout = RingLayout(pane_ms, panes, [Column(Count(), 0, 0)])
    ring = layout.new_ring()
    ring.newest = newest
    assert layout.is_forgotten(ring, watermark) == (watermark >= layout.forgotten_from(ring))


def test_what_is_on_disk_is_forgotten_when_it_would_be_in_memory() -> None:
    """Not a millisecond sooner, and not later: all windows of the entity must have ended twice over."""
    tight, free = bounded(), FeatureTable(PLAN)
    for seq, shop in enumerate(["s0", "s1", "s2"]):
        for table in (tight, free):
            table.update("visits", {"shop": shop, "customer": "c0"}, 1_000 + seq, seq)
    many = len(free)
    for watermark in range(1_002, 1_200):
        for table in (tight, free):
            table.watermark = watermark
            table.expire(100)
            table.expire(100)
        assert stored(tight) == stored(free), watermark
    assert len(free) < many
