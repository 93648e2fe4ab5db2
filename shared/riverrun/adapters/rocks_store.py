"""The local key-value store: RocksDB, by way of rocksdict."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

from rocksdict import BlockBasedOptions, Cache, DbClosedError, DBCompressionType, Options, Rdict, WriteBatch

from riverrun.runtime.keyed_state import POSITIONS_KEY, decode_positions
from riverrun.runtime.ports import LocalStateUnavailableError

__all__ = ["CorruptStoreError", "LockedStoreError", "RocksStore", "StoreSizes", "open_slot"]

_LOG = logging.getLogger(__name__)

_BLOOM_BITS: Final = 10
_SCAN_PAGE: Final = 1_000
_AFTER_EVERY_KEY: Final = b"\xff" * 64  # No key of riverrun's starts with a byte above 127.
_SUSPECT: Final = "SUSPECT"
_SET_ASIDE: Final = ".corrupt"
_MOST_NEW_SLOTS: Final = 16
_FOR_OPEN_STORES: Final = {"uncache_aggressiveness": "100"}
"""What can be asked for only when the files are open. Of a file that compaction has replaced, RocksDB lets index and
filter go from its cache at once then; else they are there until the cache is full, and memory grows for hours.
"""


@dataclass(frozen=True, slots=True)
class StoreSizes:
    """What a store may keep in memory.

    Parameters
    ----------
    block_cache : int
        For blocks that were read, with their indexes and filters. Bytes.
    memtable : int
        One of two buffers of what was written lately. Bytes.
    """

    block_cache: int = 8 << 20
    memtable: int = 4 << 20


class LockedStoreError(LocalStateUnavailableError):
    """Another process (perhaps a frozen one) has the store open."""


class CorruptStoreError(LocalStateUnavailableError):
    """The store's files are damaged. The next ``open_slot`` sets them aside and starts empty."""


class RocksStore:
    """A :class:`~riverrun.runtime.ports.KeyValueStore` in a folder.

    Each batch is atomic and in the operating system's hands when ``apply`` returns, so a kill of the process
    loses nothing. After a power failure the newest batches may be missing, never one in the middle: state
    that trails its log bears that.

    Parameters
    ----------
    folder : Path
        Created when absent.
    sizes : StoreSizes
        What it may keep in memory.

    Raises
    ------
    LockedStoreError
        If another process, or another object in this one, has it open.
    CorruptStoreError
        If its files are damaged.
    LocalStateUnavailableError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path, sizes: StoreSizes = StoreSizes()) -> None:
        self._folder = folder
        self._sizes = sizes
        self._failed = False
        self._damage = ""
        self._db = self._open()

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    @property
    def cached(self) -> int:
        """How much of the block cache is in use. Bytes."""
        return self._db.property_int_value("rocksdb.block-cache-usage") or 0

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key`` or None."""
        if self._damage:
            raise self._corrupt()
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._translate(error) from error
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the pairs whose key starts with ``prefix``, in key order.

        Pairs are read a page at a time, so that an iterator that nobody finished does not hold the files (and
        their lock) open. Changes made meanwhile may or may not be seen.
        """
        start = prefix
        while True:
            page = self._page(start, prefix)
            yield from page
            if len(page) < _SCAN_PAGE:
                return
            start = page[-1][0] + b"\x00"

    def apply(self, puts: Mapping[bytes, bytes], deletes: Sequence[bytes]) -> None:
        """Write all deletes and puts, atomically; a key in both is put.

        Raises
        ------
        LocalStateUnavailableError
            If nothing was written: the disk is full, for example. The next call tries to open the files anew.
        """
        batch = WriteBatch(raw_mode=True)
        for key in deletes:
            batch.delete(key)
        for key, value in puts.items():
            batch.put(key, value)
        self._write(batch)

    def clear(self) -> None:
        """Delete everything."""
        batch = WriteBatch(raw_mode=True)
        batch.delete_range(b"", _AFTER_EVERY_KEY)
        self._write(batch)

    def close(self) -> None:
        """Release the files and their lock."""
        # RocksDB reports here once more what a failed write has reported, yet closes all the same.
        with suppress(Exception):
            self._db.close()

    def _open(self) -> Rdict:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            db = Rdict(str(self._folder), _options(self._sizes))
            db.set_options(_FOR_OPEN_STORES)
            return db
        except Exception as error:
            raise self._translate(error) from error

    def _page(self, start: bytes, prefix: bytes) -> list[tuple[bytes, bytes]]:
        if self._damage:
            raise self._corrupt()
        page: list[tuple[bytes, bytes]] = []
        try:
            cursor = self._db.iter()
        except Exception as error:
            raise self._translate(error) from error
        try:
            cursor.seek(start)
            while cursor.valid() and len(page) < _SCAN_PAGE:
                key: bytes = cursor.key()
                if not key.startswith(prefix):
                    return page
                page.append((key, cursor.value()))
                cursor.next()
            # At a damaged block the cursor ends as at the end of the data; only its status tells them apart.
            cursor.status()
        except Exception as error:
            raise self._translate(error) from error
        finally:
            # An exception keeps this frame alive, and a living cursor keeps the closed store's lock.
            del cursor
        return page

    def _write(self, batch: WriteBatch) -> None:
        if self._damage:
            raise self._corrupt()
        try:
            if self._failed:
                self._reopen()
            self._db.write(batch)
        except LocalStateUnavailableError:
            raise
        except Exception as error:
            self._failed = not isinstance(error, DbClosedError)
            raise self._translate(error) from error

    def _reopen(self) -> None:
        """Open the files again: after a failed write RocksDB refuses all others, whatever space there is."""
        self.close()
        self._db = self._open()
        self._failed = False

    def _corrupt(self) -> CorruptStoreError:
        return CorruptStoreError(
            f"the state in {self._folder} is damaged: {self._damage}",
            hint="it will be set aside and rebuilt from the log; check the disk",
        )

    def _translate(self, error: Exception) -> LocalStateUnavailableError:
        if isinstance(error, DbClosedError):
            return LocalStateUnavailableError(f"the state in {self._folder} is closed")
        text = str(error)
        if "lock hold by current process" in text or "While lock file" in text:
            return LockedStoreError(
                f"the state in {self._folder} is in use by another process", hint="stop that process"
            )
        if "Corruption" in text:
            with suppress(OSError):
                (self._folder / _SUSPECT).touch()
            # From here on every call says so, lest some succeed and the damage go unnoticed.
            self._damage = text
            return self._corrupt()
        return LocalStateUnavailableError(
            f"the state in {self._folder} cannot be used: {text}",
            hint="check the free space and the permissions of the data folder",
        )


def open_slot(folder: Path, sizes: StoreSizes = StoreSizes()) -> tuple[RocksStore, Path]:
    """Open the newest state in ``folder`` that no other process holds.

    A process that was frozen and replaced may still hold the lock of the state that it worked on. So a folder
    has numbered slots, and of those that are not locked the one that has got furthest is opened; if there is
    none, a new one is made. A damaged slot is set aside, for somebody to look at, and counts as absent: what
    was in it will be folded again from the log.

    Parameters
    ----------
    folder : Path
        The state folder of one stage and partition. Created when absent.
    sizes : StoreSizes
        What the store may keep in memory.

    Returns
    -------
    store : RocksStore
        The open slot.
    path : Path
        Its folder.

    Raises
    ------
    LocalStateUnavailableError
        If the folder cannot be read or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
    except OSError as error:
        raise LocalStateUnavailableError(
            f"the state folder {folder} cannot be used: {error.strerror}",
            hint="check the free space and the permissions of the data folder",
        ) from error
    opened: list[tuple[int, RocksStore]] = []
    best: RocksStore | None = None
    try:
        for number in numbers:
            found = _open_sound(folder / str(number), sizes)
            if found is not None:
                opened.append(found)
        if not opened:
            opened.append(_open_new(folder, numbers[-1] + 1 if numbers else 0, sizes))
        best = max(opened, key=itemgetter(0))[1]
        return best, best.folder
    finally:
        for _, store in opened:
            if store is not best:
                store.close()


def _open_new(folder: Path, first: int, sizes: StoreSizes) -> tuple[int, RocksStore]:
    """Make a slot; a process that starts at the same moment may take a number before this one."""
    for number in range(first, first + _MOST_NEW_SLOTS):
        found = _open_sound(folder / str(number), sizes)
        if found is not None:
            return found
    raise LocalStateUnavailableError(
        f"no new state can be made in {folder}: {_MOST_NEW_SLOTS} attempts failed", hint="check the disk"
    )


def _open_sound(slot: Path, sizes: StoreSizes) -> tuple[int, RocksStore] | None:
    """Open a slot; return how far it has got and the store, or None if it is locked or was set aside."""
    store: RocksStore | None = None
    try:
        store = RocksStore(slot, sizes)
        if (slot / _SUSPECT).exists():
            raise CorruptStoreError(f"the state in {slot} was found damaged while it was in use")
        return _position(store), store
    except LockedStoreError:
        _LOG.warning("the state in %s is in use by another process: leaving it alone", slot)
        return None
    except CorruptStoreError as error:
        if store is not None:
            store.close()
        _set_aside(slot, error.message)
        return None


def _set_aside(slot: Path, reason: str) -> None:
    """Rename a damaged slot, replacing what was set aside before."""
    aside = slot.with_name(slot.name + _SET_ASIDE)
    shutil.rmtree(aside, ignore_errors=True)
    try:
        slot.rename(aside)
    except OSError as error:
        # Another process may have found the same damage and been first.
        _LOG.warning("%s cannot be set aside (%s): %s", slot, error.strerror, reason)
    else:
        _LOG.warning("state set aside in %s, to be rebuilt from the log: %s", aside, reason)


def _position(store: RocksStore) -> int:
    """Return how far a slot's fold has got, as one number.

    All slots are folds of prefixes of one input, so of two the one with the greater sum is ahead everywhere.
    """
    stored = store.get(POSITIONS_KEY)
    positions = decode_positions(stored) if stored is not None else None
    return sum(positions.values()) if positions is not None else 0


def _options(sizes: StoreSizes) -> Options:
    """Choose a small memory footprint: many partitions' stores share a machine, perhaps a small one."""
    table = BlockBasedOptions()
    table.set_block_cache(Cache(sizes.block_cache))
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_bloom_filter(_BLOOM_BITS, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(sizes.memtable)
    options.set_max_write_buffer_number(2)
    options.set_max_background_jobs(2)
    options.set_max_open_files(128)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    options.set_stats_dump_period_sec(0)
    return options
