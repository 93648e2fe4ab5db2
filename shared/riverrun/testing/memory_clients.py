"""Reader and writer of the in-memory log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from riverrun.errors import RiverrunError
from riverrun.runtime.ports import FencedError, Headers, LogUnavailableError, Record, TornError
from riverrun.testing.memory_failures import Failure
from riverrun.testing.memory_partition import Fate, Partition, Transaction

if TYPE_CHECKING:
    from riverrun.testing.memory_log import MemoryLog

__all__ = ["MemoryReader", "MemoryWriter"]


class MemoryReader:
    """Reads one partition, committed records only, never beyond the last stable offset.

    Parameters
    ----------
    log
        Whose failures it suffers.
    partition, offset
        What to read, and from where.
    """

    __slots__ = ("_at_end", "_end_offset", "_failure", "_log", "_offset", "_partition")

    def __init__(self, log: MemoryLog, partition: Partition, offset: int) -> None:
        self._log = log
        self._partition = partition
        self._offset = offset
        self._at_end = False
        self._end_offset = -1
        self._failure: LogUnavailableError | None = None

    @property
    def at_end(self) -> bool:
        """Whether the last poll reached the last stable offset."""
        return self._at_end

    @property
    def end_offset(self) -> int:
        """The offset at which the end was last reached; -1 before the first time."""
        return self._end_offset

    @property
    def unread(self) -> int:
        """How many records are there still to be read, those of open transactions included."""
        return 0 if self._at_end else self._partition.high_watermark - self._offset

    def poll(self, limit: int, timeout: float = 0.0) -> list[Record]:
        """Return up to ``limit`` records; never waits.

        Raises
        ------
        LogUnavailableError
            If it was told to fail, begins beyond the end, or its place has been deleted.
        """
        del timeout
        if self._failure is None:
            self._failure = self._trouble()
        if self._failure is not None:
            raise self._failure
        stable = self._log.view(self._partition).stable
        records, self._offset = self._partition.read(self._offset, limit, stable)
        if records:
            self._at_end = False
        if len(records) < limit and self._offset >= stable:
            self._at_end = True
            self._end_offset = self._offset
        return records

    def _trouble(self) -> LogUnavailableError | None:
        partition = self._partition
        if self._log.fails(Failure.READ):
            return LogUnavailableError(f"cannot read {partition.topic}[{partition.number}]: told to fail")
        if not partition.start <= self._offset <= self._log.view(partition).high_watermark:
            place = f"{partition.topic}[{partition.number}]"
            return LogUnavailableError(f"cannot read {place}: offset {self._offset} is out of range")
        return None

    def close(self) -> None:
        """Refuse further use; idempotent."""
        self._failure = LogUnavailableError("the reader is closed")


class MemoryWriter:
    """A transactional writer; its records are in the log, invisible, as soon as they are sent.

    Parameters
    ----------
    log
        Where to write.
    transactional_id
        Shared by all writers that fence each other.
    """

    __slots__ = ("_epoch", "_failure", "_first", "_id", "_log", "_open", "_transaction")

    def __init__(self, log: MemoryLog, transactional_id: str) -> None:
        self._log = log
        self._id = transactional_id
        self._epoch = -1
        self._open = False
        self._transaction: Transaction | None = None
        self._failure: RiverrunError | None = None
        self._first: dict[tuple[str, int], int] = {}

    def open(self) -> None:
        """Fence predecessors; abort what they left open.

        Raises
        ------
        LogUnavailableError
            If told to fail.
        """
        if self._log.fails(Failure.OPEN):
            raise LogUnavailableError(f"cannot open, writer {self._id!r}: told to fail")
        self._epoch = self._log.transactions.open(self._id)
        self._open = False
        self._failure = None

    def begin(self) -> None:
        """Begin a transaction; the log learns of it with the first record.

        Raises
        ------
        FencedError, LogUnavailableError
            If the writer is lost.
        """
        self._ready()
        if self._open:
            raise self._lose(LogUnavailableError(f"the writer {self._id!r} has a transaction open already"))
        self._open = True
        self._transaction = None
        self._first.clear()

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Append to the open transaction; errors surface at ``commit``."""
        if self._epoch < 0:
            raise RuntimeError(f"the writer {self._id!r} has not been opened")
        if self._failure is not None:
            return
        try:
            place = self._log.partition(topic, partition)
            offset = place.append(self._log.tick(), key, value, headers, self._join())
        except (FencedError, LogUnavailableError) as error:
            self._lose(error)
        else:
            self._first.setdefault((topic, partition), offset)

    def _join(self) -> Transaction:
        """Return the open transaction, which must be the one that the first record began."""
        transaction = self._log.transactions.join(self._id, self._epoch)
        if self._transaction is None:
            if not self._open:
                raise LogUnavailableError(f"the writer {self._id!r} has no transaction open")
            self._transaction = transaction
        elif self._transaction is not transaction:
            raise LogUnavailableError(f"the transaction of the writer {self._id!r} was ended behind its back")
        return transaction

    def first_offset(self, topic: str, partition: int) -> int:
        """Return the offset of this transaction's first record there, once committed; -1 when unknown."""
        return self._first.get((topic, partition), -1)

    def confirmed_ends(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return an end of each partition that all who are fenced lie below.

        Raises
        ------
        FencedError, LogUnavailableError
            If the writer is lost, or there is no such partition.
        """
        self.begin()
        for topic, partition in places:
            self.send(topic, partition, b"", None, ())
        if self._failure is not None:
            raise self._failure
        ends = {place: offset + 1 for place, offset in self._first.items()}
        self.abort()
        return ends

    def commit(self, offsets: Mapping[tuple[str, int], int], group: str) -> None:
        """Commit records and, when ``offsets`` is not empty, the group's offsets, in one transaction.

        Raises
        ------
        FencedError
            If another writer has taken the transactional id, or the transaction was open for too long.
        TornError
            If it committed, but a copy of the request is still under way.
        LogUnavailableError
            If the outcome is unknown or the commit failed.
        """
        self._ready()
        if not self._open:
            raise self._lose(LogUnavailableError(f"the writer {self._id!r} has no transaction open"))
        if self._log.fails(Failure.COMMIT_REFUSED):
            raise self._lose(LogUnavailableError(f"the commit failed, writer {self._id!r}: told to fail"))
        try:
            self._commit(offsets, group)
        except (FencedError, LogUnavailableError) as error:
            raise self._lose(error) from None
        self._open = False
        if self._log.fails(Failure.COMMIT_UNKNOWN):
            raise self._lose(LogUnavailableError(f"no answer to the commit, writer {self._id!r}: told to fail"))
        if self._log.holds(self._id, self._epoch):
            self._lose(LogUnavailableError(f"the writer {self._id!r} was torn by a broken connection"))
            raise TornError(f"the writer {self._id!r} committed, but its connection broke meanwhile")

    def _commit(self, offsets: Mapping[tuple[str, int], int], group: str) -> None:
        coordinator = self._log.transactions
        for place, offset in offsets.items():
            self._log.partition(*place)
            coordinator.join(self._id, self._epoch).offsets[group, place] = offset
        if offsets or self._first:
            coordinator.end(self._id, self._epoch, Fate.COMMITTED)

    def abort(self) -> None:
        """Abort the open transaction, if any; never raises."""
        if not self._open:
            return
        self._open = False
        if self._transaction is not None and self._transaction.fate is Fate.COMMITTED:
            self._lose(LogUnavailableError(f"the transaction of the writer {self._id!r} is committed already"))
            return
        try:
            self._log.transactions.end(self._id, self._epoch, Fate.ABORTED)
        except FencedError as error:
            self._lose(error)
        else:
            self._failure = None

    def close(self) -> None:
        """Refuse further use, without committing or aborting; idempotent."""
        self._open = False
        self._failure = LogUnavailableError(f"the writer {self._id!r} is closed")

    def _ready(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._epoch < 0:
            raise RuntimeError(f"the writer {self._id!r} has not been opened")

    def _lose(self, failure: RiverrunError) -> RiverrunError:
        if self._failure is None:
            self._failure = failure
        return self._failure
