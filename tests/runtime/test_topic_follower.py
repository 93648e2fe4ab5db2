"""Following a topic: every committed record once, in order, whatever the log and the records are like."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from riverrun.errors import AccessDeniedError, RiverrunError, UnavailableError
from riverrun.runtime.ports import LogUnavailableError, Record, TopicSpec
from riverrun.runtime.topic_follower import TopicFollower
from riverrun.testing.memory_clients import MemoryReader
from riverrun.testing.memory_log import MemoryLog

PATIENCE_S = 20.0


class FlakyLog(MemoryLog):
    """A log whose readers fail now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 2

    def reader(self, topic: str, partition: int, offset: int) -> MemoryReader:
        """Open a reader, or fail."""
        if self.failures:
            self.failures -= 1
            raise LogUnavailableError("away")
        return super().reader(topic, partition, offset)


def _write(log: MemoryLog, *values: bytes) -> None:
    writer = log.writer("w")
    writer.open()
    writer.begin()
    for value in values:
        writer.send("t", 0, b"k", value, ())
    writer.commit({}, "g")


def _follow(log: MemoryLog, offer: Callable[[Record], None]) -> TopicFollower:
    return TopicFollower(log, "t", offer)


def test_it_hands_over_what_is_there_and_what_comes() -> None:
    """Everything from the start on, once and in order, and it says when it has caught up."""
    log = MemoryLog()
    log.ensure_topics([TopicSpec("t", 1)])
    _write(log, b"1", b"2")
    found: list[bytes | None] = []
    third = threading.Event()

    def offer(record: Record) -> None:
        found.append(record.value)
        if record.value == b"3":
            third.set()

    follower = _follow(log, offer)
    assert follower.wait(PATIENCE_S)
    assert found == [b"1", b"2"]
    _write(log, b"3")
    assert third.wait(PATIENCE_S)
    assert follower.is_current
    follower.close()
    assert found == [b"1", b"2", b"3"]


def test_a_record_that_cannot_be_taken_is_passed_over() -> None:
    """A bad record stops nothing; one that failed because something was away is offered again, and no other."""
    log = MemoryLog()
    log.ensure_topics([TopicSpec("t", 1)])
    _write(log, b"bad", b"first", b"later", b"good")
    found: list[bytes | None] = []
    away = [UnavailableError("the registry is away")]

    def offer(record: Record) -> None:
        if record.value == b"bad":
            raise RiverrunError("it cannot be read")
        if record.value == b"later" and away:
            raise away.pop()
        found.append(record.value)

    follower = _follow(log, offer)
    assert follower.wait(PATIENCE_S)
    follower.close()
    assert found == [b"first", b"later", b"good"]


def test_a_log_that_is_away_is_waited_for() -> None:
    """It goes on when the log is back, and says meanwhile that it is not current."""
    log = FlakyLog()
    log.ensure_topics([TopicSpec("t", 1)])
    _write(log, b"1")
    found: list[bytes | None] = []
    follower = _follow(log, lambda record: found.append(record.value))
    assert not follower.is_current
    assert follower.wait(PATIENCE_S)
    assert (found, follower.is_current, log.failures) == ([b"1"], True, 0)
    follower.close()


class GuardedLog(MemoryLog):
    """A log that lets nobody read until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()

    def reader(self, topic: str, partition: int, offset: int) -> MemoryReader:
        """Open a reader, or deny it."""
        if not self.open.is_set():
            raise AccessDeniedError("Kafka does not permit it")
        return super().reader(topic, partition, offset)


def test_who_waits_for_what_may_not_be_read_is_told_at_once() -> None:
    """It is said in words, not waited for; and when it may be read after all, the follower reads it."""
    log = GuardedLog()
    log.ensure_topics([TopicSpec("t", 1)])
    _write(log, b"1")
    found = threading.Event()
    follower = _follow(log, lambda record: found.set())
    with pytest.raises(AccessDeniedError, match="not permit"):
        follower.wait(PATIENCE_S)
    assert not follower.is_current
    log.open.set()
    assert found.wait(PATIENCE_S)
    assert follower.wait(PATIENCE_S)
    follower.close()
