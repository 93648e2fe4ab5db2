"""The size of a transaction: what is there, but no more than may be folded in a slice of time."""

from __future__ import annotations

_SMOOTHING = 0.3


class BatchSize:
    """Adapts the number of records in a transaction to the time that folding them takes.

    Under light load a batch is whatever has arrived, so latency is that of one commit; under heavy load batches
    grow up to the limit and the cost of a commit is shared by many.

    Parameters
    ----------
    limit
        Most records in one batch.
    slice_s
        Time to aim for, in seconds.
    """

    __slots__ = ("_limit", "_per_record", "_slice")

    def __init__(self, limit: int, slice_s: float) -> None:
        self._limit = limit
        self._slice = slice_s
        self._per_record = 0.0

    def next(self) -> int:
        """Return how many records to take at most."""
        if self._per_record <= 0.0:
            return min(self._limit, 256)
        return max(1, min(self._limit, int(self._slice / self._per_record)))

    def took(self, records: int, seconds: float) -> None:
        """Learn from a batch."""
        if records == 0:
            return
        per_record = seconds / records
        if self._per_record <= 0.0:
            self._per_record = per_record
        elif records >= 64 or per_record < self._per_record:
            # Small batches are all commit and say little of the cost per record.
            self._per_record += _SMOOTHING * (per_record - self._per_record)
