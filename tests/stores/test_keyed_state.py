"""State that trails its commits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.errors import UnavailableError
from riverrun.runtime.keyed_state import POSITIONS_KEY, KeyedState, bounded_key
from riverrun.testing.key_value import MemoryKeyValueStore

KEYS = st.sampled_from([b"a", b"ab", b"b", b"ba", b"c"])
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=3)), max_size=12)


class Tally:
    """A part that counts its calls."""

    def __init__(self, state: KeyedState) -> None:
        self.state = state
        self.saved = 0
        self.seen: bytes | None = None
        state.attach(self)

    def save(self) -> None:
        self.saved += 1
        self.state.put(b"tally", b"%d" % self.saved)

    def rebuild(self) -> None:
        self.seen = self.state.get(b"tally")


def test_nothing_is_written_before_flush() -> None:
    """Changes are seen at once and stored with the next flush only, together with the positions."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    state.put(b"a", b"1")
    assert (state.get(b"a"), list(store.scan(b""))) == (b"1", [])
    state.flush({"p.events/0/0": 1})
    assert store.get(b"a") == b"1"
    assert store.get(POSITIONS_KEY) is not None


def test_a_kill_between_flushes_falls_back_to_the_last() -> None:
    """Data and positions are of the same moment, whatever was changed since."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    state.put(b"a", b"1")
    state.flush({"p.events/0/0": 1})
    state.put(b"a", b"2")
    state.delete(b"a")
    survivor = KeyedState(store.copy())
    assert (survivor.load(), survivor.get(b"a")) == ({"p.events/0/0": 1}, b"1")


def test_a_flush_that_fails_is_made_up_for() -> None:
    """What could not be written is neither forgotten nor hidden, and goes with the next flush."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    state.put(b"a", b"1")
    state.flush({"p.events/0/0": 1})
    state.put(b"a", b"2")
    store.failure = UnavailableError("no space left")
    with pytest.raises(UnavailableError):
        state.flush({"p.events/0/0": 2})
    assert (state.get(b"a"), store.get(b"a")) == (b"2", b"1")
    store.failure = None
    state.put(b"b", b"3")
    state.flush({"p.events/0/0": 3})
    assert KeyedState(store).load() == {"p.events/0/0": 3}
    assert (store.get(b"a"), store.get(b"b")) == (b"2", b"3")


@pytest.mark.parametrize("positions", [None, b"broken", b"[]", b'{"format": 0, "positions": {}}', b'{"format": 1}'])
def test_what_cannot_be_placed_is_dropped(positions: bytes | None) -> None:
    """Without readable positions of this format the content means nothing: it is cleared."""
    store = MemoryKeyValueStore({b"a": b"1"} if positions is None else {b"a": b"1", POSITIONS_KEY: positions})
    state = KeyedState(store)
    assert state.load() is None
    assert list(store.scan(b"")) == []


def test_reset_forgets_the_store_too() -> None:
    """After a reset nothing is left, in memory or stored."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    tally = Tally(state)
    state.flush({"p.events/0/0": 1})
    state.load()
    assert tally.seen == b"1"
    state.put(b"b", b"2")
    state.reset()
    assert state.get(b"b") is None
    assert list(store.scan(b"")) == []
    rebuilt: bytes | None = tally.seen
    assert rebuilt is None


def test_parts_are_saved_before_each_write() -> None:
    """A part's last word is in the batch that it belongs to."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    Tally(state)
    state.checkpoint({})
    state.flush({})
    assert store.get(b"tally") == b"2"


def test_close_closes_the_store() -> None:
    """The state owns its store."""
    store = MemoryKeyValueStore()
    KeyedState(store).close()
    with pytest.raises(UnavailableError):
        store.get(b"a")


@given(
    stages=st.lists(CHANGES, max_size=5),
    cache=st.sampled_from([0, 300, 1 << 20]),
    prefix=st.sampled_from([b"", b"a", b"b"]),
)
def test_it_is_a_dict_whatever_is_cached(
    stages: list[list[tuple[bytes, bytes | None]]], cache: int, prefix: bytes
) -> None:
    """Reads and scans see every change, across flushes and evictions."""
    store = MemoryKeyValueStore()
    state = KeyedState(store, cache_bytes=cache)
    state.load()
    model: dict[bytes, bytes] = {}
    for number, changes in enumerate(stages):
        for key, value in changes:
            if value is None:
                state.delete(key)
                model.pop(key, None)
            else:
                state.put(key, value)
                model[key] = value
            assert state.get(key) == value
        scanned = [pair for pair in state.scan(prefix) if pair[0] != POSITIONS_KEY]
        assert scanned == sorted(pair for pair in model.items() if pair[0].startswith(prefix))
        assert all(state.get(key) == model.get(key) for key in (b"a", b"ab", b"b", b"ba", b"c"))
        if number % 2:
            state.flush({"p.events/0/0": number})


class CountingStore(MemoryKeyValueStore):
    """Counts the reads that reach the store."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        super().__init__(pairs)
        self.reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return super().get(key)


def test_the_cache_is_bounded_and_used() -> None:
    """Reading ten times the bound in a circle finds little in memory; reading a little of it finds it
    there.
    """
    keys = [b"k%05d" % number for number in range(1_000)]
    store = CountingStore(dict.fromkeys(keys, bytes(1_000)))
    state = KeyedState(store, cache_bytes=100_000)
    for key in keys + keys:
        state.get(key)
    assert store.reads >= 1_900
    before = store.reads
    for key in keys[-20:] * 3:
        state.get(key)
    assert store.reads == before


def test_what_is_new_is_not_looked_for_while_memory_holds_everything() -> None:
    """A store that began empty is asked for no key that it cannot have, until entries had to leave memory."""
    store = CountingStore({})
    state = KeyedState(store, cache_bytes=100_000)
    state.load()
    loading = store.reads
    for number in range(300):
        if number >= 10:
            state.delete(b"k%05d" % (number - 10))
        assert state.get(b"k%05d" % number) is None
        state.put(b"k%05d" % number, bytes(1_000))
        state.flush({})
    assert store.reads == loading
    for number in range(300, 600):
        state.put(b"k%05d" % number, bytes(1_000))
        state.flush({})
    assert state.get(b"k00300") == bytes(1_000)
    assert state.get(b"absent") is None
    assert store.reads == loading + 2


def test_a_state_that_stays_small_stays_in_memory_however_long_it_is_written() -> None:
    """Of half the bound, only what is there counts: not what was deleted since, nor what a key held before."""
    store = CountingStore({})
    state = KeyedState(store, cache_bytes=100_000)
    state.load()
    loading = store.reads
    for number in range(2_000):
        state.put(b"watermark", b"%d" % number)
        state.put(b"k%05d" % number, bytes(1_000))
        if number >= 40:
            state.delete(b"k%05d" % (number - 40))
        state.flush({})
        assert state.get(b"new%05d" % number) is None
    assert store.reads == loading


def test_a_store_that_was_there_before_is_looked_into() -> None:
    """After a load of what another process wrote, memory holds nothing of it yet."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    state.load()
    state.put(b"k", b"v")
    state.flush({"p.events/0/0": 1})
    again = KeyedState(store)
    again.load()
    assert again.get(b"k") == b"v"
    state.load()
    assert state.get(b"k") == b"v"


@given(st.text(max_size=50), st.text(max_size=50))
def test_bounded_keys_are_short_and_differ(one: str, other: str) -> None:
    """Different text gives different keys of at most 33 bytes, none of them in the reserved range."""
    assert (bounded_key(one) == bounded_key(other)) == (one == other)
    assert len(bounded_key(one)) <= 33
    assert bounded_key(one)[0] != 0
