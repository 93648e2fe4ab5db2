"""Deliveries in order, each until it is taken, from a log and a bookmark that survive everything."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.delivery.courier import Courier, Pace
from riverrun.delivery.messages import Message, Outcome, Result
from riverrun.runtime.ports import LogUnavailableError, Record, TopicSpec
from riverrun.testing.memory_log import Failure, MemoryLog


class Note:
    """A bookmark that survives its courier."""

    def __init__(self) -> None:
        self.offset = 0

    def load(self) -> int:
        return self.offset

    def save(self, offset: int) -> None:
        assert offset > self.offset, "a bookmark goes forward"
        self.offset = offset

    def close(self) -> None:
        pass


@dataclass
class Receiver:
    """A channel that fails as told, and keeps what it takes and what it was asked."""

    outcomes: list[Outcome] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def deliver(self, message: Message) -> Outcome:
        self.asked.append(message.id)
        outcome = self.outcomes.pop(0) if self.outcomes else Outcome(Result.DELIVERED)
        if outcome.result is Result.DELIVERED:
            self.taken.append(message.id)
        return outcome


class Time:
    """A clock that waiting moves on; it ends the courier after so many waits without a delivery."""

    def __init__(self, polls: int = 3) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.polls = polls

    def wait(self, seconds: float) -> bool:
        if seconds == 0.0:
            self.polls -= 1
            return self.polls < 0
        self.waits.append(seconds)
        self.now += seconds
        return False


FAILED = Outcome(Result.FAILED, "no")


def log_of(count: int) -> MemoryLog:
    """Return a log with messages 0, 1, 2..."""
    log = MemoryLog()
    log.ensure_topics([TopicSpec("alerts", 1)])
    for number in range(count):
        log.append("alerts", 0, str(number).encode())
    return log


def select(record: Record) -> Message | None:
    """Take the even ones."""
    text = (record.value or b"").decode()
    return Message(text, "", "", "info", b"") if int(text) % 2 == 0 else None


def run(log: MemoryLog, receiver: Receiver, note: Note, time: Time | None = None, give_up: float = 1e9) -> Courier:
    """Run a courier until it has seen the end of the log."""
    clock = time or Time()
    pace = Pace(clock.wait, lambda: clock.now, first_wait=1.0, most_wait=60.0, give_up=give_up, poll=0.0)
    courier = Courier("test", receiver, select, note, pace)
    reader = log.reader("alerts", 0, note.load())
    try:
        courier.run(reader)
    finally:
        reader.close()
    return courier


def test_what_is_for_it_is_delivered_in_order_and_what_is_not_is_passed() -> None:
    """The bookmark ends behind the last record, whoever that was for."""
    receiver, note = Receiver(), Note()
    run(log_of(6), receiver, note)
    assert (receiver.taken, note.offset) == (["0", "2", "4"], 6)


def test_a_receiver_that_is_down_for_an_hour_gets_everything_in_order() -> None:
    """Nothing overtakes the message that fails; the waits grow to a minute."""
    receiver, note, time = Receiver([FAILED] * 65), Note(), Time()
    run(log_of(5), receiver, note, time)
    assert receiver.asked == ["0"] * 66 + ["2", "4"]
    assert receiver.taken == ["0", "2", "4"]
    assert time.waits[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert time.now > 3_600


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    """Its own wait counts where it is longer than ours."""
    receiver, time = Receiver([Outcome(Result.FAILED, "busy", 30.0), FAILED]), Time()
    run(log_of(1), receiver, Note(), time)
    assert time.waits == [30.0, 2.0]


def test_a_message_is_left_behind_in_the_end() -> None:
    """One that is never taken must not hold up all others for ever."""
    receiver, note, time = Receiver([FAILED] * 23), Note(), Time()
    run(log_of(3), receiver, note, time, give_up=1_000.0)
    assert receiver.asked == ["0"] * 23 + ["2"]
    assert time.now >= 1_000
    assert (receiver.taken, note.offset) == (["2"], 3)


def test_a_receiver_that_is_gone_is_left_alone() -> None:
    """The courier ends, and the message stays undelivered behind the bookmark."""
    receiver, note = Receiver([Outcome(Result.DELIVERED), Outcome(Result.GONE, "410")]), Note()
    assert run(log_of(5), receiver, note).gone
    assert (receiver.asked, note.offset) == (["0", "2"], 1)


@given(
    st.integers(0, 12), st.lists(st.sampled_from([FAILED, Outcome(Result.DELIVERED)]), max_size=20), st.integers(0, 12)
)
def test_after_a_kill_nothing_is_lost_and_order_holds(count: int, outcomes: list[Outcome], dies: int) -> None:
    """At least once: what was taken just before the kill comes again; everything comes, in order."""
    log, note = log_of(count), Note()

    class Killed(BaseException):
        pass

    @dataclass
    class Dying(Receiver):
        left: int = dies

        def deliver(self, message: Message) -> Outcome:
            outcome = Receiver.deliver(self, message)
            self.left -= 1
            if self.left == 0:
                raise Killed
            return outcome

    first = Dying(list(outcomes))
    with suppress(Killed):
        run(log, first, note)
    second = Receiver()
    run(log, second, note)
    wanted = [str(number) for number in range(0, count, 2)]
    assert sorted(set(first.taken + second.taken), key=int) == wanted
    both: Sequence[str] = first.taken + second.taken
    assert both == sorted(both, key=int)
    assert len(both) <= len(wanted) + 1


def test_a_log_that_is_away_ends_the_courier_where_it_is() -> None:
    """Whoever runs it begins again at the bookmark."""
    log, note = log_of(4), Note()
    log.fail_next(Failure.READ)
    with pytest.raises(LogUnavailableError):
        run(log, Receiver(), note)
    receiver = Receiver()
    run(log, receiver, note)
    assert receiver.taken == ["0", "2"]
