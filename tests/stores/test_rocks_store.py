"""What only RocksDB can get wrong: files, locks, kills and damage."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from riverrun.adapters.rocks_store import CorruptStoreError, LockedStoreError, RocksStore, StoreSizes, open_slot
from riverrun.runtime.keyed_state import POSITIONS_KEY, encode_positions

WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from riverrun.adapters.rocks_store import RocksStore
store = RocksStore(Path(sys.argv[1]))
number = 0
while True:
    store.apply({b"%08d" % number: b"v" * 500, b"position": b"%d" % number}, [])
    print(number, flush=True)
    number += 1
"""

FULL_DISK = """
import os, resource, sys
from pathlib import Path
from riverrun.adapters.rocks_store import RocksStore
from riverrun.errors import UnavailableError
store = RocksStore(Path(sys.argv[1]))
store.apply({b"before": b"1"}, [])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    store.apply({b"meanwhile": os.urandom(50_000)}, [])
except UnavailableError as error:
    print("refused:", error.hint)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.apply({b"after": b"2"}, [])
print(sorted(key for key, _ in store.scan(b"")))
store.close()
"""


# What pytest has on its path, a program of its own has not.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def program(source: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", source, str(folder)]


def put_position(store: RocksStore, position: int) -> None:
    store.apply({POSITIONS_KEY: encode_positions({"p.events/0/0": position})}, [])


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(content))


def fill_and_damage(folder: Path) -> None:
    """Write a table of many blocks and flip a byte in one of them."""
    store = RocksStore(folder)
    store.apply({b"%08d" % number: os.urandom(200) for number in range(5_000)}, [])
    put_position(store, 5)
    store.close()
    RocksStore(folder).close()  # Opening writes the log of the last run into a table.
    damage(max(folder.glob("*.sst"), key=lambda path: path.stat().st_size))


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    """Every batch that was acknowledged before SIGKILL is there afterwards."""
    writer = subprocess.Popen(program(WRITES_UNTIL_KILLED, tmp_path), env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    acknowledged = int((lines + writer.stdout.read().splitlines(keepends=True))[-1])
    writer.wait()
    writer.stdout.close()
    store = RocksStore(tmp_path)
    position = int(store.get(b"position") or -1)
    assert position >= acknowledged >= 199
    assert len(list(store.scan(b"0"))) == position + 1
    store.close()


def test_an_unfinished_scan_does_not_hold_the_lock(tmp_path: Path) -> None:
    """A scan left in the middle does not keep a closed store locked."""
    store = RocksStore(tmp_path)
    store.apply({b"a": b"1", b"b": b"2"}, [])
    scan = store.scan(b"")
    next(scan)
    store.close()
    reopened = RocksStore(tmp_path)
    assert reopened.get(b"b") == b"2"
    reopened.close()


def test_a_second_opener_is_told(tmp_path: Path) -> None:
    """Two may not have one store."""
    store = RocksStore(tmp_path)
    with pytest.raises(LockedStoreError, match="in use"):
        RocksStore(tmp_path)
    store.close()


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    """A write that finds no space raises, with advice; once there is space the same object writes again."""
    done = subprocess.run(program(FULL_DISK, tmp_path), env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "refused: check the free space and the permissions of the data folder",
        "[b'after', b'before']",
    ]


def test_memory_does_not_grow_with_what_was_there_once(tmp_path: Path) -> None:
    """Of files that compaction has replaced nothing stays in the cache: it holds what is there, however much was."""
    store = RocksStore(tmp_path, StoreSizes(memtable=64 << 10))
    cached = []
    for first in range(0, 600_000, 1_000):
        numbers = range(first, first + 1_000)
        store.apply({b"%08d" % number: bytes(8) for number in numbers}, [b"%08d" % (each - 4_000) for each in numbers])
        cached.append(store.cached)
    store.close()
    # Index and filter of all files that there were in between have ten times as much.
    assert 0 < max(cached) < 256 << 10


def test_damage_is_never_read_as_the_end(tmp_path: Path) -> None:
    """A scan over a damaged block raises instead of ending early, and from then on every call does."""
    fill_and_damage(tmp_path)
    store = RocksStore(tmp_path)
    with pytest.raises(CorruptStoreError, match="damaged"):
        list(store.scan(b""))
    with pytest.raises(CorruptStoreError):
        store.get(b"absent")
    with pytest.raises(CorruptStoreError):
        store.apply({b"a": b"1"}, [])
    store.close()


def test_the_first_slot_is_made(tmp_path: Path) -> None:
    """In an empty folder slot 0 is made; the next process finds its content."""
    store, path = open_slot(tmp_path / "state")
    assert path == tmp_path / "state" / "0"
    put_position(store, 3)
    store.close()
    again, same = open_slot(tmp_path / "state")
    assert (same, again.get(POSITIONS_KEY)) == (path, encode_positions({"p.events/0/0": 3}))
    again.close()


def test_a_locked_slot_is_left_alone(tmp_path: Path) -> None:
    """While a frozen process holds slot 0, the next works in slot 1, and a third in slot 2."""
    first, _ = open_slot(tmp_path)
    second, path = open_slot(tmp_path)
    third, last = open_slot(tmp_path)
    assert (path.name, last.name) == ("1", "2")
    for store in (first, second, third):
        store.close()


def test_the_slot_that_got_furthest_is_opened(tmp_path: Path) -> None:
    """Not the newest by number or by time, but that with the greatest stored position; the others are
    unlocked.
    """
    stores = [open_slot(tmp_path)[0] for _ in range(3)]
    for store, position in zip(stores, (4, 9, 7), strict=True):
        put_position(store, position)
        store.close()
    best, path = open_slot(tmp_path)
    other, second_best = open_slot(tmp_path)
    assert (path.name, second_best.name) == ("1", "2")
    best.close()
    other.close()


@pytest.mark.parametrize("file", ["CURRENT", "MANIFEST-*"])
def test_a_slot_that_does_not_open_is_set_aside(tmp_path: Path, file: str, caplog: pytest.LogCaptureFixture) -> None:
    """Broken files are renamed, with a warning, and an empty slot is made."""
    store, path = open_slot(tmp_path)
    put_position(store, 3)
    store.close()
    next(path.glob(file)).write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        store, path = open_slot(tmp_path)
    assert store.get(POSITIONS_KEY) is None
    assert "set aside" in caplog.text
    assert (tmp_path / "0.corrupt").is_dir()
    store.close()


def test_a_slot_found_damaged_in_use_is_set_aside(tmp_path: Path) -> None:
    """Damage that only a read finds is remembered, so that the next start does not trip over it again."""
    fill_and_damage(tmp_path / "0")
    store, path = open_slot(tmp_path)
    assert path.name == "0"
    with pytest.raises(CorruptStoreError) as caught:
        list(store.scan(b""))
    store.close()
    store, path = open_slot(tmp_path)
    assert list(store.scan(b"")) == []
    assert (tmp_path / "0.corrupt").is_dir()
    # Whoever holds the exception holds the frames of the failed call; the lock must be free even so.
    assert "damaged" in caught.value.message
    store.close()
