"""What the in-memory log can do beyond the contract: fail when told to, tell the time, expel members."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.runtime.ports import FencedError, LogUnavailableError, Record, TopicSpec, Writer
from riverrun.testing.memory_group import MemoryMembership
from riverrun.testing.memory_log import Failure, MemoryLog


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    log.ensure_topics([TopicSpec("t", 4)])
    return log


def opened(log: MemoryLog, transactional_id: str = "w") -> Writer:
    writer = log.writer(transactional_id)
    writer.open()
    return writer


def begin(writer: Writer, *values: bytes) -> None:
    writer.begin()
    for value in values:
        writer.send("t", 0, None, value, ())


def visible(log: MemoryLog) -> list[bytes | None]:
    return [record.value for record in log.records("t", 0)]


class TestFailures:
    def test_each_strikes_once_where_it_says(self, log: MemoryLog) -> None:
        """And only there: the next attempt works."""
        for failure, attempt in (
            (Failure.LOOK_UP, lambda: log.partitions("t")),
            (Failure.LOOK_UP, lambda: log.reader("t", 0, 0)),
            (Failure.OPEN, lambda: opened(log)),
            (Failure.TAIL, lambda: log.tail("t", 0, 1)),
        ):
            log.fail_next(failure)
            with pytest.raises(LogUnavailableError):
                attempt()
            attempt()

    def test_a_reader_that_failed_is_of_no_further_use(self, log: MemoryLog) -> None:
        """As with Kafka: what it would have skipped cannot be known."""
        log.append("t", 0, b"1")
        reader = log.reader("t", 0, 0)
        log.fail_next(Failure.READ)
        for _ in range(2):
            with pytest.raises(LogUnavailableError, match="told to fail"):
                reader.poll(1)
        assert [record.value for record in log.reader("t", 0, 0).poll(1)] == [b"1"]

    def test_a_refused_commit_leaves_the_transaction_open(self, log: MemoryLog) -> None:
        """It holds readers up until it is aborted, by the writer, the next one, or time."""
        writer = opened(log)
        log.fail_next(Failure.COMMIT_REFUSED)
        begin(writer, b"lost")
        with pytest.raises(LogUnavailableError):
            writer.commit({("t", 0): 1}, "g")
        log.append("t", 0, b"behind")
        assert visible(log) == []
        writer.abort()
        assert visible(log) == [b"behind"]
        assert log.committed("g") == {}
        begin(writer, b"2")
        writer.commit({}, "g")
        assert visible(log) == [b"behind", b"2"]

    def test_an_unknown_outcome_may_be_a_commit(self, log: MemoryLog) -> None:
        """The writer is lost, the records are there."""
        writer = opened(log)
        log.fail_next(Failure.COMMIT_UNKNOWN)
        begin(writer, b"1")
        with pytest.raises(LogUnavailableError):
            writer.commit({}, "g")
        writer.abort()
        assert visible(log) == [b"1"]
        with pytest.raises(LogUnavailableError):
            writer.begin()


def test_time_passes_only_when_told_to(log: MemoryLog) -> None:
    """A transaction is aborted at its timeout, not a millisecond before; its writer is fenced then."""
    writer = opened(log)
    begin(writer, b"lost")
    log.append("t", 0, b"behind")
    log.advance(9_999)
    assert visible(log) == []
    log.advance(1)
    assert visible(log) == [b"behind"]
    with pytest.raises(FencedError):
        writer.commit({}, "g")


def test_tail_waits_on_the_manual_clock(log: MemoryLog) -> None:
    """Instead of blocking the only thread it lets the transactions in its way time out."""
    one, two = opened(log, "1"), opened(log, "2")
    begin(one, b"lost")
    log.advance(4_000)
    begin(two, b"lost too")
    assert log.tail("t", 0, 1) == []
    assert log.now == 14_000


def test_an_expelled_member_believes_until_it_polls(log: MemoryLog) -> None:
    """A zombie: others own its partitions while it has not heard; then it has none, and joins again."""
    zombie, other = log.membership("g", "t"), log.membership("g", "t")
    assert zombie.poll() == {0, 1}
    assert other.poll() == {2, 3}
    log.expire_member(zombie)
    assert zombie.owned == {0, 1}
    assert other.poll() == {0, 1, 2, 3}
    assert zombie.poll() == frozenset()
    assert zombie.poll() == frozenset()
    assert other.poll() == {0, 1}
    assert zombie.poll() == {2, 3}


_MOVES = st.sampled_from(["poll", "poll", "poll", "leave", "expire"])


@given(st.lists(st.tuples(st.integers(0, 2), _MOVES), max_size=40))
def test_no_partition_has_two_owners(script: list[tuple[int, str]]) -> None:
    """Whatever members do, those that are in the group never share a partition, and in the end miss none."""
    log = MemoryLog()
    log.ensure_topics([TopicSpec("t", 5)])
    members: dict[int, MemoryMembership] = {}
    for number, move in script:
        if number not in members:
            members[number] = log.membership("g", "t")
        elif move == "leave":
            members.pop(number).close()
        elif move == "expire":
            log.expire_member(members.pop(number))
        else:
            members[number].poll()
        owned = [partition for each in members.values() for partition in each.owned]
        assert len(owned) == len(set(owned))
    shares: list[frozenset[int]] = []
    for _ in range(3):
        shares = [member.poll() for member in members.values()]
    if members:
        assert sorted(partition for share in shares for partition in share) == list(range(5))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


class _Interleaving:
    """Several writers on one partition, step by step, and what should be visible in the end."""

    def __init__(self) -> None:
        self.log = MemoryLog(transaction_timeout_ms=3)
        self.log.ensure_topics([TopicSpec("t", 1)])
        self.expected: set[bytes] = set()
        self._writers: dict[int, Writer] = {}
        self._pending: dict[int, list[bytes]] = {}

    def raw(self, number: int, value: bytes) -> None:
        del number
        self.log.append("t", 0, value)
        self.expected.add(value)

    def wait(self, number: int, value: bytes) -> None:
        del number, value
        self.log.advance(1)

    def open(self, number: int, value: bytes) -> None:
        del value
        self._writers[number] = opened(self.log, str(number))
        self._pending.pop(number, None)

    def send(self, number: int, value: bytes) -> None:
        writer = self._writers.get(number)
        if writer is None:
            return
        with contextlib.suppress(FencedError):
            if number not in self._pending:
                writer.begin()
                self._pending[number] = []
            writer.send("t", 0, None, value, ())
            self._pending[number].append(value)

    def commit(self, number: int, value: bytes) -> None:
        del value
        values = self._pending.pop(number, None)
        if values is not None:
            with contextlib.suppress(FencedError):
                self._writers[number].commit({}, "g")
                self.expected.update(values)

    def abort(self, number: int, value: bytes) -> None:
        del value
        if self._pending.pop(number, None) is not None:
            self._writers[number].abort()


_ACTIONS = st.sampled_from(["send", "send", "commit", "abort", "open", "raw", "wait", "read"])


@given(st.lists(st.tuples(st.integers(0, 2), _ACTIONS), max_size=60), st.integers(1, 5))
def test_readers_see_each_committed_record_once_in_order(script: list[tuple[int, str]], limit: int) -> None:
    """Under any interleaving a reader's polls add up to what is committed in the end, in the log's order."""
    run = _Interleaving()
    reader = run.log.reader("t", 0, 0)
    read: list[Record] = []
    for step, (number, action) in enumerate(script):
        if action == "read":
            read += reader.poll(limit)
        else:
            act: Callable[[int, bytes], None] = getattr(run, action)
            act(number, b"%d" % step)
    run.log.advance(3)
    while not reader.at_end or reader.end_offset < run.log.high_watermark("t", 0):
        read += reader.poll(limit)
    assert read == run.log.records("t", 0)
    assert {record.value for record in read} == run.expected
    assert [record.offset for record in read] == sorted({record.offset for record in read})
    assert run.log.tail("t", 0, 3) == read[-3:]
