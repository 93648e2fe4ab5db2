"""A partition of the in-memory log: records, control records, transactions that decide what is visible."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from riverrun.runtime.ports import Headers, Record

__all__ = ["Fate", "Partition", "Transaction", "View"]

_END: Final = 1 << 60


class View(NamedTuple):
    """How far a broker knows a partition: the last stable offset, and the offset after the last entry."""

    stable: int
    high_watermark: int


class Fate(enum.Enum):
    """What has become of a transaction."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Transaction:
    """A transaction as the coordinator knows it.

    Attributes
    ----------
    started
        The manual clock's time, in milliseconds, when it began.
    fate
        Decides whether its records are visible.
    partitions
        Where it has written; each gets a control record at the end.
    offsets
        Group offsets that commit with it, by group and (topic, partition).
    """

    __slots__ = ("fate", "offsets", "partitions", "started")

    def __init__(self, started: int) -> None:
        self.started = started
        self.fate = Fate.OPEN
        self.partitions: dict[Partition, None] = {}
        self.offsets: dict[tuple[str, tuple[str, int]], int] = {}

    def end(self, fate: Fate) -> None:
        """Decide the transaction: one control record on every partition written to."""
        self.fate = fate
        for partition in self.partitions:
            partition.end(self)


class Partition:
    """One partition. The offset of an entry is its index; a control record is an entry without a record.

    Parameters
    ----------
    topic, number
        Its name.
    """

    __slots__ = ("_entries", "_open", "number", "start", "topic")

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.start = 0
        self._entries: list[tuple[Record | None, Transaction | None]] = []
        # The offset of each open transaction's first record, in the order of the log.
        self._open: dict[Transaction, int] = {}

    @property
    def high_watermark(self) -> int:
        """The offset after the last entry."""
        return len(self._entries)

    @property
    def stable(self) -> int:
        """The last stable offset: the first record of the first open transaction, or the high watermark."""
        return next(iter(self._open.values()), len(self._entries))

    def view(self) -> View:
        """Return how far it goes now."""
        return View(self.stable, self.high_watermark)

    def oldest(self) -> Transaction | None:
        """Return the open transaction that holds readers up."""
        return next(iter(self._open), None)

    def append(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        transaction: Transaction | None,
    ) -> int:
        """Append a record; return its offset."""
        offset = len(self._entries)
        # As the real log gives back: a list of pairs, or nothing.
        kept: Headers = list(headers) if headers else ()
        record = Record(self.topic, self.number, offset, timestamp, key, value, kept)
        self._entries.append((record, transaction))
        if transaction is not None:
            self._open.setdefault(transaction, offset)
            transaction.partitions[self] = None
        return offset

    def end(self, transaction: Transaction) -> None:
        """Append the control record of a transaction that has been decided."""
        self._open.pop(transaction, None)
        self._entries.append((None, transaction))

    def read(self, offset: int, limit: int, below: int = _END) -> tuple[list[Record], int]:
        """Return up to ``limit`` committed records from ``offset`` on, and the offset to go on from."""
        records: list[Record] = []
        stable = min(self.stable, below)
        while offset < stable and len(records) < limit:
            record, transaction = self._entries[offset]
            offset += 1
            if record is not None and (transaction is None or transaction.fate is Fate.COMMITTED):
                records.append(record)
        return records, offset
