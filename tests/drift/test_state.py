"""The drift stages' state: whole, signed and of these settings, or folded again from the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from riverrun.errors import UnavailableError
from riverrun.models.pickling import dump_state
from riverrun.models.signing import create_key
from riverrun.runtime.keyed_state import encode_positions
from riverrun.testing.key_value import MemoryKeyValueStore
from services.drift.core import DriftCore
from services.drift.state import DriftStore
from tests.drift.made import SMALL, error_core, input_core, with_level
from tests.drift.test_core import predictions, run

POSITIONS = {"p.predictions/0/0": 700}


@pytest.fixture
def make(tmp_path: Path) -> Callable[[DriftCore, MemoryKeyValueStore], DriftStore]:
    """Return what keeps a core in a store, written each 100 records."""
    keys = create_key(tmp_path / "key")
    return lambda core, store: DriftStore(core, store, keys, every=100)


Make = Callable[[DriftCore, MemoryKeyValueStore], DriftStore]


def stored(make: Make) -> MemoryKeyValueStore:
    """Return a store that holds a core after 700 records."""
    core, store = input_core(), MemoryKeyValueStore()
    run(core, predictions(700, moved_from=700))
    assert list(make(core, store).flush(POSITIONS)) == []
    return store


def test_restored_as_it_was(make: Make) -> None:
    """What was written is found, with the positions that it reflects, and goes on alike."""
    core, fresh = input_core(), input_core()
    items = predictions(2_600, moved_from=2_000)
    run(core, items[:700])
    assert make(fresh, stored(make)).load() == POSITIONS
    found = run(core, items[700:])
    assert run(fresh, items[700:]) == found
    assert found


def test_written_seldom_and_at_a_stop(make: Make) -> None:
    """While running it is written each so many records; at a planned stop whenever anything came."""
    core, store = input_core(), MemoryKeyValueStore()
    state = make(core, store)
    items = predictions(250, moved_from=250)
    run(core, items[:99])
    state.flush({"p.predictions/0/0": 99})
    assert state.load() is None
    run(core, items[:100])
    state.flush({"p.predictions/0/0": 100})
    run(core, items[100:150])
    state.flush({"p.predictions/0/0": 150})
    assert make(input_core(), store).load() == {"p.predictions/0/0": 100}
    state.checkpoint({"p.predictions/0/0": 150})
    assert make(input_core(), store).load() == {"p.predictions/0/0": 150}


def test_a_store_that_is_away_is_tried_again(make: Make) -> None:
    """What could not be written is written at the next time."""
    core, store = input_core(), MemoryKeyValueStore()
    state = make(core, store)
    run(core, predictions(100, moved_from=100))
    store.failure = UnavailableError("the disk is full")
    with pytest.raises(UnavailableError):
        state.flush(POSITIONS)
    store.failure = None
    state.flush(POSITIONS)
    assert make(input_core(), store).load() == POSITIONS


def _flip(content: bytes) -> bytes:
    return content[:40] + bytes((content[40] ^ 1,)) + content[41:]


@pytest.mark.parametrize("damage", [_flip, lambda content: content[:-1], lambda content: b""])
def test_damaged_or_forged_is_forgotten(make: Make, damage: Callable[[bytes], bytes]) -> None:
    """What is not as it was signed is never unpickled: everything is forgotten, and folded again from the log."""
    store = stored(make)
    content = store.get(b"fold")
    assert content is not None
    store.apply({b"fold": damage(content)}, [])
    core = input_core()
    assert make(core, store).load() is None
    assert core.folded == 0
    assert list(store.scan(b"")) == []


def test_another_key_is_not_trusted(make: Make, tmp_path: Path) -> None:
    """State that another key has signed is forgotten."""
    other = DriftStore(input_core(), stored(make), create_key(tmp_path / "other"))
    assert other.load() is None


def test_unsigned_code_is_not_run(make: Make) -> None:
    """A pickle without a signature is not opened, whatever it holds."""
    store = MemoryKeyValueStore()
    store.apply({b"\x00positions": encode_positions(POSITIONS), b"fold": dump_state(("x", {}, {})) + bytes(64)}, [])
    assert make(input_core(), store).load() is None


def test_other_settings_start_anew(make: Make) -> None:
    """State of other settings, segments or signals is forgotten: it would go on as nobody declared it."""
    for core in (input_core(()), input_core(settings=with_level(SMALL, 1e-3)), error_core()):
        assert make(core, stored(make)).load() is None
        assert core.folded == 0


def test_positions_must_be_those_that_were_signed(make: Make) -> None:
    """A state beside positions that it does not reflect is forgotten."""
    store = stored(make)
    store.apply({b"\x00positions": encode_positions({"p.predictions/0/0": 5})}, [])
    assert make(input_core(), store).load() is None


def test_reset_and_close(make: Make) -> None:
    """A reset forgets the store and the fold; closing closes the store."""
    core, store = input_core(), stored(make)
    state = make(core, store)
    state.load()
    state.reset()
    assert core.folded == 0
    assert state.load() is None
    state.close()
    with pytest.raises(UnavailableError):
        store.get(b"fold")
