"""Reads the last records of a partition, going back in growing steps over control records and aborts."""

from __future__ import annotations

import time
from collections import deque

from riverrun.adapters.kafka_reader import KafkaReader
from riverrun.runtime.ports import LogUnavailableError, Record

__all__ = ["read_tail"]

_CHUNK = 10_000
_SLACK = 64
_GROWTH = 8
_WAIT = 0.5


def read_tail(reader: KafkaReader, start: int, end: int, count: int, timeout: float) -> list[Record]:
    """Return the last ``count`` committed records below the offset ``end``, oldest first.

    Waits until the last stable offset has come up to ``end``: until no transaction is open below it.

    Parameters
    ----------
    reader
        Of the partition in question; where it stands does not matter.
    start, end
        Where to stop going back, and the high watermark at the time of the call.
    count
        How many records.
    timeout
        Seconds to wait while nothing comes: for open transactions.

    Raises
    ------
    LogUnavailableError
        If the partition cannot be read, or a transaction stays open.
    """
    found: list[Record] = []
    # Every transaction costs an offset for its control record: twice the count is most often enough at once.
    upper, span = end, 2 * count + _SLACK
    while upper > start and len(found) < count:
        lower = max(start, upper - span)
        found = _read(reader, lower, upper, count - len(found), timeout) + found
        upper, span = lower, span * _GROWTH
    return found


def _read(reader: KafkaReader, lower: int, upper: int, count: int, timeout: float) -> list[Record]:
    """Return the last ``count`` committed records with ``lower`` <= offset < ``upper``."""
    kept: deque[Record] = deque(maxlen=count)
    reader.seek(lower, certain=True)
    deadline = time.monotonic() + timeout
    while True:
        records = reader.poll(_CHUNK, _WAIT)
        if records:
            deadline = time.monotonic() + timeout
        for record in records:
            if record.offset >= upper:
                return list(kept)
            kept.append(record)
        if reader.end_offset >= upper or (kept and kept[-1].offset == upper - 1):
            return list(kept)
        if time.monotonic() > deadline:
            raise LogUnavailableError(
                f"cannot read the last records of {reader.place}: offset {upper} is not reached, "
                "most likely because a transaction is open below it",
                hint="another producer's transaction.timeout.ms may be long; it ends by itself",
            )
