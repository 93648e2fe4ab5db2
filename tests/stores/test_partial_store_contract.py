"""The contract of a partial store, held by Redis and by the fake alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riverrun.adapters.redis_partials import RedisPartials
from riverrun.runtime.packed import pack
from riverrun.runtime.ports import PartialEntry, PartialStore
from riverrun.testing.partial_store import MemoryPartialStore
from tests.stores.redis_server import RedisServer

ENTITIES = st.sampled_from(["JFK", "LGA", "EWR", "", "Zürich\x00|"])
PUTS = st.lists(st.tuples(ENTITIES, st.integers(0, 5), st.binary(max_size=3)), max_size=6).map(
    lambda entries: ("put", [PartialEntry(*entry) for entry in entries])
)
DELETES = st.lists(st.tuples(ENTITIES, st.integers(0, 5)), max_size=3).map(lambda entries: ("delete", entries))


@pytest.fixture(params=["memory", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, redis_server: RedisServer) -> Iterator[PartialStore]:
    if kind == "memory":
        yield MemoryPartialStore()
        return
    partials = RedisPartials.connect(redis_server.url, "flight-delay")
    yield partials
    partials.close()


def test_an_older_write_loses(store: PartialStore) -> None:
    """Of two writes the one with the greater position stays, whichever comes last; an equal one changes
    nothing.
    """
    assert store.put(0, "origin", [PartialEntry("JFK", 7, b"seven")]) == 1
    assert store.put(0, "origin", [PartialEntry("JFK", 6, b"six"), PartialEntry("LGA", 6, b"six")]) == 1
    assert store.put(0, "origin", [PartialEntry("JFK", 7, b"again")]) == 0
    assert sorted(store.scan(0, "origin")) == [
        PartialEntry("JFK", 7, b"seven"),
        PartialEntry("LGA", 6, b"six"),
    ]


def test_positions_are_compared_as_numbers(store: PartialStore) -> None:
    """Every byte of a position counts, up to 2^53."""
    positions = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**31, 2**32, 2**40 - 1, 2**40, 2**53]
    for position in positions:
        assert store.put(0, "g", [PartialEntry("e", position, b"%d" % position)]) == 1
    for position in positions[:-1]:
        assert store.put(0, "g", [PartialEntry("e", position, b"older")]) == 0
    assert store.read("g", ["e"], [0]) == [[PartialEntry("e", 2**53, b"%d" % 2**53)]]


def test_the_newest_of_one_call_wins(store: PartialStore) -> None:
    """An entity that comes twice in a call ends with its greatest position, in whatever order."""
    store.put(0, "g", [PartialEntry("e", 2, b"two"), PartialEntry("e", 1, b"one")])
    assert store.read("g", ["e"], [0]) == [[PartialEntry("e", 2, b"two")]]


def test_a_packed_scan_gives_the_same(store: PartialStore) -> None:
    """Many entries at a time, each with its position before its value: what `scan` gives one by one."""
    entries = [PartialEntry(f"e{number}", 1 << (number % 53), b"%d" % number) for number in range(2_500)]
    store.put(0, "g", entries)
    store.put(1, "g", [PartialEntry("elsewhere", 1, b"x")])
    found = {name: packed for some in store.scan_packed(0, "g") for name, packed in some.items()}
    assert found == {name: pack(position, value) for name, position, value in entries}
    assert sorted(store.scan(0, "g")) == sorted(entries)
    assert [dict(some) for some in store.scan_packed(0, "none") if some] == []


def test_read_is_by_entity_and_partition(store: PartialStore) -> None:
    """Rows follow the entities asked for, columns the partitions; what is not there is None."""
    store.put(0, "g", [PartialEntry("a", 1, b"a0"), PartialEntry("b", 2, b"b0")])
    store.put(2, "g", [PartialEntry("a", 3, b"a2")])
    store.put(0, "other", [PartialEntry("c", 4, b"c0")])
    assert store.read("g", ["b", "a", "c"], [2, 0]) == [
        [None, PartialEntry("b", 2, b"b0")],
        [PartialEntry("a", 3, b"a2"), PartialEntry("a", 1, b"a0")],
        [None, None],
    ]
    assert store.read("g", [], [0, 1]) == []
    assert store.read("g", ["a"], []) == [[]]


def test_more_entries_than_one_call_takes(store: PartialStore) -> None:
    """Thousands of entries are written, read and deleted as one is."""
    entries = [PartialEntry(f"entity-{number}", number, b"%d" % number) for number in range(25_001)]
    assert store.put(1, "g", entries) == len(entries)
    assert store.put(1, "g", entries) == 0
    assert store.read("g", [entry.entity for entry in entries], [1]) == [[entry] for entry in entries]
    store.delete(1, "g", [(entry.entity, entry.position) for entry in entries[1:]])
    assert list(store.scan(1, "g")) == entries[:1]


def test_delete_spares_what_is_newer(store: PartialStore) -> None:
    """Only an entry that is not newer than the given position goes."""
    store.put(0, "g", [PartialEntry("a", 5, b"a"), PartialEntry("b", 5, b"b")])
    store.delete(0, "g", [("a", 4), ("b", 5), ("absent", 9)])
    assert [entry.entity for entry in store.scan(0, "g")] == ["a"]
    store.delete(0, "g", [])


def test_the_marker_only_advances(store: PartialStore) -> None:
    """A marker that is absent stays absent under ``mark``; one that is there never goes back under it."""
    assert store.marker(0) is None
    assert not store.mark(0, 5)
    assert store.marker(0) is None
    store.reset(0, 5)
    assert store.mark(0, 9)
    assert store.mark(0, 7)
    assert (store.marker(0), store.marker(1)) == (9, None)


def test_clear_takes_the_marker_along(store: PartialStore) -> None:
    """Groups and marker go together, those of other partitions stay, and whoever relies on the marker is told."""
    for partition in (0, 1):
        store.put(partition, "g", [PartialEntry("e", 5, b"five")])
        store.put(partition, "h", [PartialEntry("e", 5, b"five")])
        store.reset(partition, 5)
    store.clear(0, ["g", "absent"])
    assert list(store.scan(0, "g")) == []
    assert store.marker(0) is None
    assert not store.mark(0, 6)
    assert [entry.position for entry in store.scan(0, "h")] == [5]
    assert [entry.position for entry in store.scan(1, "g")] == [5]
    assert store.mark(1, 6)
    assert store.put(0, "g", [PartialEntry("e", 1, b"anew")]) == 1


def test_writing_everything_anew(store: PartialStore) -> None:
    """From ``begin`` to ``reset`` there is no marker; ``reset`` fails if the partition was cleared in between."""
    store.reset(0, 5)
    store.begin(0)
    assert store.marker(0) is None
    assert not store.mark(0, 6)
    assert store.reset(0, 6)
    assert store.marker(0) == 6
    store.begin(0)
    store.clear(0, ["g"])
    assert not store.reset(0, 7)
    assert store.marker(0) is None
    store.begin(0)
    assert store.reset(0, 8)
    assert store.mark(0, 9)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(PUTS | DELETES, max_size=6))
def test_any_calls_in_any_order(
    kind: str, store: PartialStore, redis_server: RedisServer, steps: list[tuple[str, list[PartialEntry]]]
) -> None:
    """After any puts and deletes the entries are those that the two rules say, and sending all again is
    harmless.
    """
    if isinstance(store, MemoryPartialStore):
        store.wipe()
    else:
        redis_server.wipe()
    model: dict[str, PartialEntry] = {}
    for call, entries in steps:
        if call == "put":
            store.put(0, "g", entries)
            store.put(0, "g", entries)
            for entry in entries:
                if entry.entity not in model or model[entry.entity].position < entry.position:
                    model[entry.entity] = entry
        else:
            doomed = [(entry[0], entry[1]) for entry in entries]
            store.delete(0, "g", doomed)
            store.delete(0, "g", doomed)
            for entity, position in doomed:
                if entity in model and model[entity].position <= position:
                    del model[entity]
    assert sorted(store.scan(0, "g")) == sorted(model.values())
