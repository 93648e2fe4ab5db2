"""Python's garbage collector does not go through state: not while it is loaded, not while the worker runs."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from riverrun.runtime import collector
from riverrun.runtime.ports import KeyValueStore
from riverrun.runtime.worker import Worker
from riverrun.testing.key_value import MemoryKeyValueStore
from tests.runtime.worlds import MemoryWorld, messages


def test_a_pause_ends_with_what_it_was_for() -> None:
    """Collections are on again after it, even after an error, and stay off where they were off before."""
    with pytest.raises(LookupError, match="off"), collector.paused():
        raise LookupError("on" if gc.isenabled() else "off")
    assert gc.isenabled()
    gc.disable()
    try:
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


class _Watching(MemoryKeyValueStore):
    """Notes whether the collector is on when its positions, or anything else, are read."""

    seen: set[bool]

    def get(self, key: bytes) -> bytes | None:
        self.seen.add(gc.isenabled())
        return super().get(key)


def test_state_is_loaded_without_collections(memory: MemoryWorld) -> None:
    """Every store is read for the first time while nothing is collected."""
    stores: list[_Watching] = []

    def open_store(folder: Path) -> KeyValueStore:
        del folder
        store = _Watching()
        store.seen = set()
        stores.append(store)
        return store

    memory.publish(messages(5))
    worker = Worker(replace(memory.deployment(), stores=open_store), memory.small.chains((("ingest",), ("labels",))))
    worker.join()
    worker.round()
    worker.leave()
    assert len(stores) == 2
    assert all(False in store.seen for store in stores)
    assert gc.isenabled()


class _ThreeRounds(Worker):
    """Stops itself after three rounds; notes how much was set aside before each."""

    frozen: list[int]

    def round(self) -> bool:
        self.frozen.append(gc.get_freeze_count())
        if len(self.frozen) == 3:
            self.stop()
        return super().round()


def test_a_running_worker_sets_aside_what_it_loaded(memory: MemoryWorld) -> None:
    """Once its partitions are open nothing that exists then is looked at again, until the worker ends."""
    worker = _ThreeRounds(memory.deployment(), memory.small.chains((("ingest",),)))
    worker.frozen = []
    # Other tests in this process may have left something there.
    collector.release()
    worker.run()
    assert worker.frozen[0] == 0
    assert worker.frozen[-1] > 0
    assert gc.get_freeze_count() == 0


class _Reopening(Worker):
    """Loses its tasks before each of its rounds; notes which chains of lost tasks are still there at the end."""

    lost: list[weakref.ref[object]]
    left: int

    def round(self) -> bool:
        for unit in self._units:
            for partition in list(unit.tasks):
                task = unit.tasks.pop(partition)
                assert task._chain is not None
                self.lost += [weakref.ref(runner.stage.core) for runner in task._chain.runners]
                task.close()
        if len(self.lost) >= 6:
            self.left = sum(each() is not None for each in self.lost)
            self.stop()
        return super().round()


def test_what_a_lost_task_had_is_freed(memory: MemoryWorld) -> None:
    """A member that gains and loses partitions for months does not keep the state of all that it ever had."""
    worker = _Reopening(memory.deployment(), memory.small.chains((("ingest", "features"),)))
    worker.lost, worker.left = [], -1
    worker.run()
    assert 0 <= worker.left <= 2
