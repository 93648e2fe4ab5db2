"""The fold of ingest: duplicates within the horizon, counts that add up, going on where a commit ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.errors import RiverrunError
from riverrun.records.items import DeadLetter, Event
from services.ingest.core import IngestCore
from tests.ingest.made import NOW, core_of, json_rule, record, stream_of, text

HORIZON = 10_000


def fold(core: IngestCore, *values: bytes) -> list[Event | DeadLetter]:
    """Fold messages; return what comes of them."""
    return [out for value in values for out in core.step(core.decode(record(value)))]


def reading(name: str, at: int) -> bytes:
    """Make a reading's message, by its id and its time after `NOW`."""
    return text(id=name, at=NOW + at)


@pytest.mark.parametrize(
    ("first", "again", "later", "accepted"),
    [(0, 0, 0, False), (0, HORIZON, HORIZON, False), (0, HORIZON + 1, 0, True), (0, 0, HORIZON + 1, True)],
    ids=["at once", "at the horizon's end", "its own time beyond", "all time beyond"],
)
def test_a_repeated_id_is_dropped_within_the_horizon(first: int, again: int, later: int, accepted: bool) -> None:
    """An id counts as repeated while neither its own event time nor the watermark is beyond the horizon."""
    core = core_of(horizon_ms=HORIZON)
    assert len(fold(core, reading("a", first), reading("other", later))) == 2
    assert bool(fold(core, reading("a", again))) == accepted
    assert core.counters()["duplicates"] == (not accepted)


def test_a_late_event_is_remembered_as_long_as_any_other() -> None:
    """An event older than the horizon when it is accepted (a dead letter sent again) counts once all the same."""
    core = core_of(horizon_ms=HORIZON)
    assert len(fold(core, reading("now", 3 * HORIZON), reading("late", 0))) == 2
    assert not fold(core, reading("late", 0))
    assert len(fold(core, reading("later", 4 * HORIZON))) == 1
    assert not fold(core, reading("late", 0))


def test_a_refused_event_is_not_remembered() -> None:
    """An event that broke a rule may come again with the same id and be accepted: nothing of it was kept."""
    core = core_of(stream_of(rules=(json_rule("value", 100.0),)))
    (letter,) = fold(core, text(value=101.0))
    assert isinstance(letter, DeadLetter)
    (event,) = fold(core, text(value=99.0))
    assert isinstance(event, Event)
    assert core.counters()["duplicates"] == 0


def test_rules_come_before_duplicates() -> None:
    """A repeated event that breaks a rule is a dead letter, not a silent duplicate: nothing vanishes."""
    core = core_of(stream_of(rules=(json_rule("value", 100.0),)))
    fold(core, text(value=99.0))
    (letter,) = fold(core, text(value=101.0))
    assert isinstance(letter, DeadLetter)


def test_dead_letters_do_not_move_time() -> None:
    """The watermark is the greatest time of an accepted event: a refused one's time means nothing."""
    core = core_of(stream_of(rules=(json_rule("value", 100.0),)))
    fold(core, reading("a", 5), reading("b", 3))
    fold(core, text(id="c", at=NOW + 1_000, value=101.0), b"[]")
    assert core.watermark == NOW + 5
    fold(core, reading("d", 7))
    assert core.watermark == NOW + 7


def test_counts_are_kept_by_reason() -> None:
    """Accepted, duplicates and dead letters are counted, these by reason too, and are all that was folded."""
    core = core_of(stream_of(rules=(json_rule("value", 100.0),)))
    fold(core, reading("a", 0), reading("a", 0), b"{", b"{", text(value=101.0), reading("b", 1))
    assert core.counters() == {
        "accepted": 2,
        "duplicates": 1,
        "dead_letters": 3,
        "dead:not_json": 2,
        "dead:rule": 1,
    }


def test_resume_takes_over_counts_and_watermark() -> None:
    """A core that resumes goes on counting where the commit ended; counts that do not add up are refused."""
    before = core_of()
    fold(before, reading("a", 9), b"{", b"")
    after = core_of()
    after.resume(before.counters(), before.watermark)
    assert (after.counters(), after.watermark) == (before.counters(), NOW + 9)
    fold(after, b"{", reading("b", 10))
    assert after.counters() == {
        "accepted": 2,
        "duplicates": 0,
        "dead_letters": 3,
        "dead:empty": 1,
        "dead:not_json": 2,
    }
    with pytest.raises(RiverrunError, match="do not add up"):
        core_of().resume({"accepted": 1, "dead_letters": 2, "dead:rule": 1}, 0)


messages = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 3 * HORIZON)).map(lambda pair: reading(*pair)),
        st.sampled_from([b"", b"{", b"\x00\x00", b"nope"]),
    ),
    max_size=40,
)


@given(messages, st.integers(0, 40))
def test_a_restart_changes_nothing(values: Sequence[bytes], cut: int) -> None:
    """Wherever a run is cut, one that replays the accepted events and resumes gives the rest of the same outputs."""
    whole = core_of(horizon_ms=HORIZON)
    outputs = [fold(whole, value) for value in values]
    first, second = core_of(horizon_ms=HORIZON), core_of(horizon_ms=HORIZON)
    before = fold(first, *values[:cut])
    for item in before:
        if isinstance(item, Event):
            second.replay(item)
    second.resume(first.counters(), first.watermark)
    assert [fold(second, value) for value in values[cut:]] == outputs[cut:]
    assert second.counters() == whole.counters()
    assert second.watermark == whole.watermark


@given(messages)
def test_duplicates_are_those_of_a_naive_memory(values: Sequence[bytes]) -> None:
    """What is accepted is what a list of all accepted ids, searched from its start, lets through."""
    core = core_of(horizon_ms=HORIZON)
    watermark = 0
    kept: dict[str, int] = {}
    expected: Counter[str] = Counter()
    for value in values:
        item = core.decode(record(value))
        outputs = core.step(item)
        if isinstance(item, DeadLetter):
            expected["dead_letters"] += 1
            continue
        event = item.event
        last = kept.get(event.id)
        # Remembered until the watermark lies a horizon beyond where it was then.
        is_again = last is not None and event.time <= last + HORIZON and watermark <= last + HORIZON
        expected["duplicates" if is_again else "accepted"] += 1
        assert bool(outputs) == (not is_again)
        if not is_again:
            watermark = kept[event.id] = max(watermark, event.time)
    counters = core.counters()
    assert {name: counters[name] for name in ("accepted", "duplicates", "dead_letters")} == {
        name: expected[name] for name in ("accepted", "duplicates", "dead_letters")
    }
