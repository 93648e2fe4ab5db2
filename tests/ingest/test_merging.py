"""The order of `events`: several producers' topics merged by event time, with an empty one waited for to a limit."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from riverrun.runtime.inputs import ExternalInput, IdleFrontier
from riverrun.runtime.merge import Merge
from riverrun.runtime.ports import Record, TopicSpec
from riverrun.testing.memory_log import MemoryLog

LIMIT_MS = 25
TOPICS = ("arrived", "departed", "scheduled")


def append(log: MemoryLog, topic: str, *times: int) -> None:
    """Publish records whose values are their event times."""
    writer = log.writer(f"producer-of-{topic}")
    writer.open()
    writer.begin()
    for time in times:
        writer.send(topic, 0, None, b"%d" % time, ())
    writer.commit({}, "")
    writer.close()


def decode(record: Record) -> tuple[int, tuple[str, int], int, int]:
    """Decode a record as ingest does: ordered by its event time, at its offset."""
    time = int(record.value or b"")
    return time, (record.topic, time), -1, record.offset


def merge_of(log: MemoryLog, *, capacity: int = 8, limit_ms: int = LIMIT_MS) -> Merge:
    """Merge the topics, each with the frontier that producers' topics have."""
    inputs = []
    for topic in TOPICS:
        source = ExternalInput((topic, 0), log.reader(topic, 0, 0), decode, {}, dense=False, capacity=capacity)
        source.frontier = IdleFrontier(source, limit_ms)
        inputs.append(source)
    return Merge(inputs)


def made_log() -> MemoryLog:
    """Make a log with the topics."""
    log = MemoryLog()
    log.ensure_topics([TopicSpec(topic, 1) for topic in TOPICS])
    return log


def drained(merge: Merge) -> list[tuple[str, int]]:
    """Take all there is, as a task does, while a clock goes on; end when long nothing came."""
    taken: list[tuple[str, int]] = []
    quiet = 0
    for tick in count():
        merge.fill()
        entries = merge.take(5, tick * 0.01)
        taken += [entry.item for entry in entries]
        quiet = 0 if entries else quiet + 1
        if quiet > 5:
            break
    return taken


sorted_times = st.lists(st.integers(0, 50), max_size=30).map(sorted)


@given(st.tuples(sorted_times, sorted_times, sorted_times), st.integers(4, 12))
def test_inputs_that_are_in_order_are_merged_in_order(times: tuple[list[int], ...], capacity: int) -> None:
    """However little is read at once, the merge is by event time, and by the order of the inputs within one."""
    log = made_log()
    for topic, each in zip(TOPICS, times, strict=True):
        append(log, topic, *each)
    expected = sorted(
        ((topic, time) for topic, each in zip(TOPICS, times, strict=True) for time in each),
        key=lambda pair: (pair[1], TOPICS.index(pair[0])),
    )
    assert drained(merge_of(log, capacity=capacity)) == expected


@given(st.tuples(*[st.lists(st.integers(0, 50), max_size=20)] * 3))
def test_an_input_that_is_out_of_order_keeps_its_own_order(times: tuple[list[int], ...]) -> None:
    """Merging loses and repeats nothing, and never changes the order within one topic."""
    log = made_log()
    for topic, each in zip(TOPICS, times, strict=True):
        append(log, topic, *each)
    taken = drained(merge_of(log))
    for topic, each in zip(TOPICS, times, strict=True):
        assert [time for name, time in taken if name == topic] == each


def test_an_empty_input_is_waited_for_and_then_passed_over() -> None:
    """Others wait for a topic that is at its end until the limit is over, counted from when its last records came."""
    log = made_log()
    append(log, "arrived", 10)
    append(log, "departed", 5)
    merge = merge_of(log)
    merge.fill()
    assert not merge.take(9, 1.00)
    assert not merge.take(9, 1.02)
    # What came of `departed` was read long ago, though it is only now that it is taken.
    assert [entry.order for entry in merge.take(9, 1.03)] == [5, 10]


def test_silence_is_waited_for_once() -> None:
    """A topic that was passed over holds nobody up until it has records again, however many batches are taken."""
    log = made_log()
    merge = merge_of(log)
    merge.fill()
    assert not merge.take(9, 1.00)
    for number in range(5):
        append(log, "arrived", 10 + number)
        merge.fill()
        assert [entry.order for entry in merge.take(9, 1.03 + number / 1_000)] == [10 + number]
    append(log, "departed", 20)
    merge.fill()
    assert not merge.take(9, 1.05)
    assert [entry.order for entry in merge.take(9, 1.06)] == [20]


def test_without_a_limit_only_records_that_exist_are_waited_for() -> None:
    """With a limit of 0 nothing waits for a topic at its end, and everything for one that is not read to its end."""
    log = made_log()
    append(log, "arrived", 10, 50)
    append(log, "departed", *range(20, 40))
    merge = merge_of(log, capacity=4, limit_ms=0)
    merge.fill()
    taken = merge.take(99, 0.0)
    while more := merge.take(99, 0.0):
        taken += more
    assert [entry.order for entry in taken] == [10, *range(20, 40), 50]


def test_an_input_that_comes_back_is_in_order_again() -> None:
    """What arrives on the awaited topic within the limit goes before what would have been taken after it."""
    log = made_log()
    append(log, "arrived", 10)
    append(log, "departed", 20)
    merge = merge_of(log)
    merge.fill()
    assert not merge.take(9, 2.0)
    append(log, "scheduled", 7, 15)
    merge.fill()
    assert [entry.item for entry in merge.take(9, 2.01)] == [("scheduled", 7), ("arrived", 10)]


def test_records_known_to_exist_are_waited_for_without_limit() -> None:
    """While a reader has not reached its topic's end, no wait is long enough: its records are older, perhaps."""
    log = made_log()
    append(log, "arrived", 10)
    append(log, "departed", *range(40))
    append(log, "scheduled", 100)
    source = ExternalInput(("departed", 0), log.reader("departed", 0, 0), decode, {}, dense=False, capacity=4)
    frontier = IdleFrontier(source, LIMIT_MS)
    source.fill()
    source.buffer.clear()
    assert frontier(0.0) < 0
    assert frontier(1_000.0) < 0
    while not source.reader.at_end:
        source.fill()
        source.buffer.clear()
    assert frontier(1_000.0) < 0
    assert frontier(1_000.1) > 100
