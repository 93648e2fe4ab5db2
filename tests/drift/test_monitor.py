"""A monitor: tells what has moved, once, where it began, and nothing else; restored, it goes on as if nothing was."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.drift.monitor import Monitor
from riverrun.drift.settings import Mode, MonitorSettings
from riverrun.drift.signals import Move, Signal
from riverrun.models.pickling import dump_state, load_state
from tests.drift.made import SETTINGS, SIGNALS, SMALL, Row, feed, missing, rows

QUIET = 3_000


@pytest.mark.parametrize("mode", [Mode.FIRST, Mode.RECENT])
def test_nothing_moves(mode: Mode) -> None:
    """On a stream that stays as it is, nothing is found."""
    assert feed(Monitor(SIGNALS, replace(SETTINGS, mode=mode)), rows(1, 20_000)) == []


@pytest.mark.parametrize("mode", [Mode.FIRST, Mode.RECENT])
def test_a_number_moves(mode: Mode) -> None:
    """A number whose mean moves is told once, by its index, with its bins, within a window or so of the beginning."""
    monitor = Monitor(SIGNALS, replace(SETTINGS, mode=mode))
    assert feed(monitor, rows(1, QUIET)) == []
    found = feed(monitor, rows(2, 1_000, mean=1.0), QUIET)
    assert [(shift.signal, shift.kind, shift.statistic) for _, shift in found] == [(0, "input", "psi")]
    position, shift = found[0]
    assert position < QUIET + SETTINGS.window
    assert abs(shift.since.position - QUIET) <= SETTINGS.pane
    assert shift.since.time == shift.since.position * 1_000
    assert shift.value >= shift.threshold > SETTINGS.floor
    assert shift.p_value < SETTINGS.level
    assert sum(shift.current) == SETTINGS.window
    assert sum(shift.reference) >= SETTINGS.reference
    assert len(shift.reference) == len(shift.current) == len(shift.edges) + 1
    assert sorted(shift.edges) == list(shift.edges)
    assert shift.now > shift.before + 0.4


def test_a_category_moves() -> None:
    """Categories are compared by their shares; a new one counts among the others."""
    monitor = Monitor(SIGNALS, SETTINGS)
    feed(monitor, rows(1, QUIET))
    found = feed(monitor, rows(2, 1_000, shares=(0.3, 0.3, 0.2, 0.2)), QUIET)
    assert [(shift.signal, shift.kind, shift.statistic) for _, shift in found] == [(1, "input", "jensen-shannon")]
    assert found[0][1].codes == (0, 1, 2)
    assert found[0][1].reference[3] == 0
    assert found[0][1].current[3] > 0


def test_values_go_missing() -> None:
    """A share of values that goes missing is told as that, not as another distribution of those that are there."""
    monitor = Monitor(SIGNALS, SETTINGS)
    feed(monitor, missing(rows(1, QUIET), 100))
    found = feed(monitor, missing(rows(2, 600), 5), QUIET)
    assert [(shift.signal, shift.kind) for _, shift in found] == [(0, "missing")]
    assert found[0][1].before == pytest.approx(0.01)
    assert found[0][1].now > 0.05


def test_all_values_go_missing() -> None:
    """A feature that is gone altogether is missing, and is not said to be distributed otherwise."""
    monitor = Monitor(SIGNALS, SETTINGS)
    feed(monitor, rows(1, QUIET))
    found = feed(monitor, missing(rows(2, 600), 1), QUIET)
    assert [(shift.signal, shift.kind) for _, shift in found] == [(0, "missing")]


def test_a_feature_goes_stale() -> None:
    """A feature that repeats itself for longer than chance allows is stale, while its window may look quite usual."""
    monitor = Monitor(SIGNALS, replace(SETTINGS, window=1_000, reference=4_000))
    feed(monitor, rows(1, 6_000))
    frozen = [(0.1, code) for _, code in rows(2, 400)]
    found = feed(monitor, frozen, 6_000)
    assert ("stale", 0) in [(shift.kind, shift.signal) for _, shift in found]


def test_a_constant_is_not_stale() -> None:
    """What was constant from the beginning may stay so."""
    monitor = Monitor(SIGNALS, SETTINGS)
    assert feed(monitor, [(1.0, code) for _, code in rows(1, 6_000)]) == []


def test_told_again_after_it_came_back() -> None:
    """A move is told once while it lasts, and again when it comes again after it was over."""
    monitor = Monitor(SIGNALS, SETTINGS)
    stream: list[Row] = []
    for episode in range(6):
        stream += rows(episode, 1_500, mean=1.0 if episode % 2 else 0.0)
    found = feed(monitor, rows(10, QUIET) + stream)
    assert [(position - QUIET) // 1_500 for position, _ in found] == [1, 3, 5]


def test_recent_reference_takes_what_lasts_for_how_things_are() -> None:
    """Against the recent past, a move that lasts becomes usual, and the way back is a move; against the first, it is
    the way back that ends it.
    """
    stream = [*rows(1, QUIET), *rows(2, 8_000, mean=1.0), *rows(3, 2_000)]
    expected = {Mode.RECENT: [QUIET, QUIET + 8_000], Mode.FIRST: [QUIET]}
    for mode, begun in expected.items():
        found = feed(Monitor(SIGNALS, replace(SETTINGS, mode=mode)), stream)
        assert [position // 1_000 * 1_000 for position, _ in found] == begun


def test_slow_change_is_followed_by_a_recent_reference() -> None:
    """What moves slowly against a reference of the recent past is a move only against the first."""
    drifting = [(number + position / 20_000, code) for position, (number, code) in enumerate(rows(1, 20_000))]
    assert feed(Monitor(SIGNALS, replace(SETTINGS, mode=Mode.RECENT)), drifting) == []
    assert feed(Monitor(SIGNALS, replace(SETTINGS, mode=Mode.FIRST)), drifting) != []


def test_pinned_reference() -> None:
    """A pinned reference is made of the records of its span alone, whatever came before or comes between."""
    pinned = replace(SETTINGS, mode=Mode.PINNED, since=1_000_000.0, until=3_000_000.0)
    stream = [*rows(1, 1_000, mean=5.0), *rows(2, 2_000), *rows(3, 2_000)]
    monitor = Monitor(SIGNALS, pinned)
    assert feed(monitor, stream) == []
    reference = monitor.reference
    assert reference is not None
    assert reference.size == 2_000
    assert reference.mean()[0] == pytest.approx(np.mean([row[0] for row in stream[1_000:3_000]]))


def test_pinned_reference_without_records() -> None:
    """A span that held too few records is never compared with, and never an error."""
    monitor = Monitor(SIGNALS, replace(SETTINGS, mode=Mode.PINNED, since=0.0, until=100_000.0))
    assert feed(monitor, [*rows(1, 3_000), *rows(2, 3_000, mean=3.0)]) == []
    assert not monitor.watching


def test_a_constant_moves() -> None:
    """A number that was always the same has moved when it is another, up or down."""
    for other in (2.0, 0.5):
        monitor = Monitor(SIGNALS, SETTINGS)
        feed(monitor, [(1.0, code) for _, code in rows(1, QUIET)])
        found = feed(monitor, [(other, code) for _, code in rows(2, 600)], QUIET)
        assert [(shift.signal, shift.kind) for _, shift in found] == [(0, "input")]


def test_warm_up_is_passed_over() -> None:
    """What comes before the reference does not count."""
    monitor = Monitor(SIGNALS, replace(SETTINGS, warm_up=500))
    feed(monitor, [*rows(1, 500, mean=50.0), *rows(2, 2_000)])
    reference = monitor.reference
    assert reference is not None
    assert abs(reference.mean()[0]) < 1.0


ERROR = (Signal("model", ((Move.RISE, "error"), (Move.BALANCE, "calibration"))),)


def test_a_mean_rises_or_falls() -> None:
    """Errors that rise are told, errors that fall are not; a mean that is to be balanced is told either way."""
    for mean, kinds in ((2.0, {"error", "calibration"}), (0.5, {"calibration"})):
        monitor = Monitor(ERROR, SETTINGS)
        rng = np.random.default_rng(1)
        feed(monitor, [(float(value),) for value in rng.exponential(1.0, QUIET)])
        found = feed(monitor, [(float(value),) for value in rng.exponential(mean, 600)], QUIET)
        assert {shift.kind for _, shift in found} == kinds


def test_a_rise_waits_to_be_confirmed() -> None:
    """A risen mean is told only once whoever was named for it agrees."""
    agreed = {"model": False}
    monitor = Monitor(ERROR[:1], SETTINGS, agreed.__getitem__)
    rng = np.random.default_rng(1)
    feed(monitor, [(float(value),) for value in rng.exponential(1.0, QUIET)])
    risen = [(float(value),) for value in rng.exponential(2.0, 1_200)]
    assert "error" not in {shift.kind for _, shift in feed(monitor, risen[:600], QUIET)}
    agreed["model"] = True
    assert "error" in {shift.kind for _, shift in feed(monitor, risen[600:], QUIET + 600)}


def test_a_share_rises() -> None:
    """A share of zeros and ones is told when it rises by more than chance, and not when it falls."""
    signal = (Signal("label", ((Move.SHARE, "label-starvation"),)),)
    for share, count in ((0.3, 1), (0.0, 0)):
        monitor = Monitor(signal, SETTINGS)
        rng = np.random.default_rng(2)
        feed(monitor, [(float(value),) for value in rng.random(QUIET) < 0.05])
        assert len(feed(monitor, [(float(value),) for value in rng.random(600) < share], QUIET)) == count


@pytest.mark.parametrize("alike", [0.65, 0.95])
def test_streams_that_breathe(alike: float) -> None:
    """Where neighbours are alike, for a few records or for many, a window is no sample of so many values: what wanders
    is not told as a shift.
    """
    rng = np.random.default_rng(4)
    value, stream = 0.0, []
    for noise in rng.normal(size=30_000):
        value = alike * value + (1.0 - alike**2) ** 0.5 * float(noise)
        stream.append((value, 0.0))
    assert feed(Monitor(SIGNALS, replace(SETTINGS, reference=2_500, window=250)), stream) == []


@settings(deadline=None, max_examples=15)
@given(st.integers(min_value=0, max_value=2_900), st.sampled_from(list(Mode)))
def test_restored_anywhere_it_goes_on_alike(cut: int, mode: Mode) -> None:
    """Stored and restored after any row, a monitor finds what one finds that was never stopped."""
    since, until = (200_000.0, 900_000.0) if mode is Mode.PINNED else (-inf, inf)
    watched: MonitorSettings = replace(SMALL, mode=mode, warm_up=30, since=since, until=until)
    stream = missing([*rows(1, 1_400), *rows(2, 800, mean=1.0), *rows(3, 800)], 50)
    whole = feed(Monitor(SIGNALS, watched), stream)
    first = Monitor(SIGNALS, watched)
    found = feed(first, stream[:cut])
    second = Monitor(SIGNALS, watched)
    state = load_state(dump_state(first.state()))
    assert isinstance(state, dict)
    second.restore(first.state().__class__(**state))
    assert found + feed(second, stream[cut:], cut) == whole
    assert whole
