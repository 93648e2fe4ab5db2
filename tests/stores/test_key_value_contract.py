"""The contract of a key-value store, held by RocksDB and by the fake alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riverrun.adapters.rocks_store import RocksStore
from riverrun.errors import UnavailableError
from riverrun.runtime.ports import KeyValueStore
from riverrun.testing.key_value import MemoryKeyValueStore

KEYS = st.binary(min_size=1, max_size=3).map(lambda key: b"k" + key)
BATCHES = st.lists(
    st.tuples(st.dictionaries(KEYS, st.binary(max_size=4), max_size=5), st.lists(KEYS, max_size=5)),
    max_size=8,
)


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    made: KeyValueStore = MemoryKeyValueStore() if request.param == "memory" else RocksStore(tmp_path / "db")
    yield made
    made.close()


def test_a_value_comes_back(store: KeyValueStore) -> None:
    """What was put is got, an empty value too; what was not is None."""
    store.apply({b"a": b"1", b"b": b""}, [])
    assert (store.get(b"a"), store.get(b"b"), store.get(b"c")) == (b"1", b"", None)


def test_a_key_in_both_is_put(store: KeyValueStore) -> None:
    """A batch deletes first."""
    store.apply({b"a": b"1"}, [])
    store.apply({b"a": b"2"}, [b"a"])
    assert store.get(b"a") == b"2"


def test_scan_keeps_to_its_prefix(store: KeyValueStore) -> None:
    """Keys before, after and equal to the prefix are told apart; the order is that of bytes."""
    keys = [b"p", b"p\x00", b"p\x01z", b"p\xff\xff", b"o\xff", b"q", b"P"]
    store.apply(dict.fromkeys(keys, b"v"), [])
    assert [key for key, _ in store.scan(b"p")] == [b"p", b"p\x00", b"p\x01z", b"p\xff\xff"]
    assert [key for key, _ in store.scan(b"")] == sorted(keys)


def test_scan_of_many_pages(store: KeyValueStore) -> None:
    """A scan neither loses nor repeats a pair where its pages meet."""
    pairs = {b"k%05d" % number: b"%d" % number for number in range(2_500)}
    store.apply({**pairs, b"z": b""}, [])
    assert list(store.scan(b"k")) == sorted(pairs.items())


def test_clear(store: KeyValueStore) -> None:
    """Nothing is left, and the store works on."""
    store.apply({b"\x00positions": b"1", b"zzz": b"2"}, [])
    store.clear()
    assert list(store.scan(b"")) == []
    store.apply({b"a": b"1"}, [])
    assert store.get(b"a") == b"1"


def test_a_closed_store_says_so(store: KeyValueStore) -> None:
    """Every call after close raises, and a second close does not."""
    store.close()
    store.close()
    with pytest.raises(UnavailableError, match="closed"):
        store.get(b"a")
    with pytest.raises(UnavailableError, match="closed"):
        store.apply({}, [b"a"])
    with pytest.raises(UnavailableError, match="closed"):
        list(store.scan(b""))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES, prefix=st.binary(max_size=2).map(lambda key: b"k" + key))
def test_it_is_a_dict(
    store: KeyValueStore, batches: list[tuple[dict[bytes, bytes], list[bytes]]], prefix: bytes
) -> None:
    """After any batches it holds what a dict would."""
    store.clear()
    model: dict[bytes, bytes] = {}
    for puts, deletes in batches:
        store.apply(puts, deletes)
        for key in deletes:
            model.pop(key, None)
        model.update(puts)
    assert list(store.scan(b"")) == sorted(model.items())
    assert list(store.scan(prefix)) == sorted(pair for pair in model.items() if pair[0].startswith(prefix))
    assert all(store.get(key) == value for key, value in model.items())
