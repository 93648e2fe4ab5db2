"""An input reads ahead within bounds, however large the records are that strangers send."""

from __future__ import annotations

from riverrun.runtime.inputs import ExternalInput
from riverrun.runtime.merge import Merge
from riverrun.runtime.ports import Record


class Endless:
    """A reader of a topic in which there is always another record of one size, so many with every poll."""

    at_end, end_offset, unread = False, -1, 1

    def __init__(self, size: int, at_once: int) -> None:
        self._at_once = at_once
        self._value = bytes(size)
        self.offset = 0

    def poll(self, limit: int, timeout: float = 0.0) -> list[Record]:
        del timeout
        offsets = range(self.offset, self.offset + min(limit, self._at_once))
        self.offset = offsets.stop
        return [Record("t", 0, offset, 0, None, self._value, ()) for offset in offsets]

    def close(self) -> None:
        """Nothing is open."""


def _input(size: int, at_once: int = 5) -> ExternalInput:
    def decode(record: Record) -> tuple[int, Record, int, int]:
        return record.offset, record, -1, record.offset

    source = ExternalInput(("t", 0), Endless(size, at_once), decode, {}, dense=False, capacity=8_192)
    source.most_bytes = 1_000_000
    return source


def test_huge_records_stop_the_reading_ahead() -> None:
    """Two polls of records of 150 kB exceed a megabyte: no third follows before all of them are taken, then it does."""
    source = _input(150_000)
    assert [source.fill() for _ in range(4)] == [5, 5, 0, 0]
    source.buffer.popleft()
    assert source.fill() == 0
    source.buffer.clear()
    assert source.fill() == 5
    assert [entry.offset for entry in source.buffer] == [10, 11, 12, 13, 14]


def test_small_records_are_bounded_by_their_number() -> None:
    """Records of a hundred bytes, and tombstones, are read ahead up to the capacity."""
    for size in (100, 0):
        source = _input(size)
        while source.fill():
            pass
        assert 6_000 < len(source.buffer) <= 8_192


def test_a_reader_that_has_very_many_is_asked_for_some_at_a_time() -> None:
    """It holds no more than its own buffer; asked for thousands at once it would fetch and return gigabytes."""
    source = _input(150_000, at_once=10_000)
    assert source.fill() <= 64
    for _ in range(3):
        source.buffer.clear()
        assert source.fill() <= 14
        assert source.fill() == 0


def test_a_batch_of_huge_records_ends_with_what_was_read_ahead() -> None:
    """It is not filled up from topics that have more: a transaction would be as large as strangers like."""
    merge = Merge([_input(150_000), _input(150_000)])
    merge.fill()
    merge.fill()
    batches = [len(merge.take(2_000, 0.0))]
    merge.fill()
    batches.append(len(merge.take(2_000, 0.0)))
    assert all(0 < batch <= 20 for batch in batches)
