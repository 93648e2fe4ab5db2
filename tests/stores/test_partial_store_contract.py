"""The contract of a partial store, held by Redis and by the fake alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riverrun.adapters.redis_partials import RedisPartials
from riverrun.runtime.packed import pack
from riverrun.runtime.ports import PartialEntry, PartialStore
from riverrun.testing.partial_store import MemoryPartialStore, Shelf
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


def test_several_groups_in_one_call(store: PartialStore) -> None:
    """Each goes where it belongs, and older entries lose as ever."""
    store.put(0, "g", [PartialEntry("a", 5, b"five")])
    groups = [("g", [PartialEntry("a", 4, b"four"), PartialEntry("b", 4, b"b")]), ("h", [PartialEntry("a", 1, b"h")])]
    assert store.put_groups(0, groups) == 2
    assert sorted(store.scan(0, "g")) == [PartialEntry("a", 5, b"five"), PartialEntry("b", 4, b"b")]
    assert list(store.scan(0, "h")) == [PartialEntry("a", 1, b"h")]
    assert store.put_groups(0, []) == 0


@pytest.mark.parametrize("since", range(3))
def test_who_wrote_is_told_of_what_the_server_has_lost(
    store: PartialStore, redis_server: RedisServer, since: int
) -> None:
    """It restarts without its last writes, of which the marker may have been none: what was kept is no help then.

    Lost are both puts, the second alone, or none; nobody is told after all was written anew.
    """
    store.reset(0, 1)
    copies = [_copy(store, redis_server)]
    for position in (2, 3):
        store.put(0, "g", [PartialEntry(f"e{position}", position, b"x")])
        copies.append(_copy(store, redis_server))
    _restart(store, redis_server, copies[since])
    assert store.mark(0, 3) == (since == 2)
    store.put(0, "g", [PartialEntry("e4", 4, b"x")])
    assert store.mark(0, 4) == (since == 2)
    store.begin(0)
    store.put(0, "g", [PartialEntry("e2", 4, b"x")])
    assert store.reset(0, 4)
    assert store.mark(0, 5)


def test_what_is_lost_between_two_writes_is_told(store: PartialStore, redis_server: RedisServer) -> None:
    """What is written after the restart does not hide that something before it is gone."""
    store.reset(0, 1)
    kept = _copy(store, redis_server)
    store.put(0, "g", [PartialEntry("e2", 2, b"x")])
    _restart(store, redis_server, kept)
    store.put(0, "g", [PartialEntry("e3", 3, b"x")])
    store.put(0, "g", [PartialEntry("e4", 4, b"x")])
    assert not store.mark(0, 4)
    store.begin(0)
    store.put(0, "g", [PartialEntry("e2", 4, b"x")])
    _restart(store, redis_server, _copy(store, redis_server, less="word"))
    assert not store.reset(0, 4)


def _copy(store: PartialStore, server: RedisServer, less: str = "") -> object:
    """Return what the server has in its files now, perhaps less the word that the last write has left."""
    if isinstance(store, MemoryPartialStore):
        shelf = store.shelf.copy()
        if less:
            shelf.steps.clear()
        return shelf
    with server.client() as client:
        return {key: client.dump(key) for key in client.scan_iter() if not less or not key.endswith(less.encode())}


def _restart(store: PartialStore, server: RedisServer, kept: object) -> None:
    """Go back to what was in the server's files."""
    if isinstance(store, MemoryPartialStore):
        assert isinstance(kept, Shelf)
        store.shelf = kept.copy()
        return
    server.wipe()
    assert isinstance(kept, dict)
    with server.client() as client:
        for key, value in kept.items():
            client.restore(key, 0, value)


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
