"""Histograms, their distances and their tests: laws that hold whatever is counted."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.drift.binning import BINS, Binning, merged
from riverrun.drift.correction import benjamini_hochberg, level_of_test
from riverrun.drift.distances import expected_psi, jensen_shannon, psi, same_source, shares
from riverrun.drift.runs import Runs

counts = st.lists(st.integers(min_value=0, max_value=500), min_size=8, max_size=8).filter(any)
numbers = st.floats(min_value=-5.0, max_value=5.0).map(lambda value: round(value, 1)) | st.just(nan)
records = st.lists(st.tuples(numbers, st.integers(min_value=0, max_value=30).map(float)), min_size=4, max_size=80)


@given(counts, counts)
def test_distances_are_distances(first: list[int], second: list[int]) -> None:
    """Both are zero for equal shares, symmetric, not negative; the divergence in bits is at most one."""
    used = np.ones(8, dtype=bool)
    a, b = shares(np.array(first), used), shares(np.array(second), used)
    for distance in (psi, jensen_shannon):
        assert distance(a, a) == pytest.approx(0.0, abs=1e-12)
        assert distance(a, b) == pytest.approx(float(distance(b, a)))
        assert distance(a, b) >= -1e-12
    assert jensen_shannon(a, b) <= 1.0


def test_index_by_chance() -> None:
    """Samples of one distribution have the index that they are said to have on average."""
    rng = np.random.default_rng(3)
    bins, first, second = 10, 4_000, 400
    even = np.full(bins, 1.0 / bins)
    used = np.ones(bins, dtype=bool)
    found = [
        float(psi(shares(rng.multinomial(first, even), used), shares(rng.multinomial(second, even), used)))
        for _ in range(2_000)
    ]
    wanted = expected_psi(np.array(bins), np.array(first), np.array(second))
    assert np.mean(found) == pytest.approx(float(wanted), rel=0.05)


@pytest.mark.parametrize(("bins", "window"), [(16, 500), (16, 100), (2, 100)])
def test_no_more_false_alarms_than_the_level(bins: int, window: int) -> None:
    """Of samples of one distribution, skewed so that bins are rare, no more are told apart than the level allows."""
    rng = np.random.default_rng(5)
    skewed = np.arange(1, bins + 1) ** 2 / np.sum(np.arange(1, bins + 1) ** 2)
    trials = 4_000
    p_values = [
        same_source(rng.multinomial(2_000, skewed), rng.multinomial(window, skewed), ordered=True)
        for _ in range(trials)
    ]
    for level in (0.05, 0.01):
        # Three standard errors of a share above the level.
        assert np.mean(np.array(p_values) <= level) <= level + 3 * (level / trials) ** 0.5


def test_a_shift_is_told_apart_from_chance() -> None:
    """A few values moved far are no chance; an ordered test sees a slope better, and less where values are alike."""
    before = np.full(10, 200)
    sloping = np.array([30, 32, 34, 36, 38, 42, 44, 46, 48, 50])
    assert same_source(before, np.array([10, 40, 40, 40, 40, 40, 40, 40, 40, 70]), ordered=False) < 1e-4
    assert same_source(before, sloping, ordered=True) < same_source(before, sloping, ordered=False) / 2
    assert same_source(before, sloping, ordered=True, effect=4.0) > same_source(before, sloping, ordered=True)
    assert same_source(before, before, ordered=True) == 1.0


@given(records, st.integers(min_value=1, max_value=79))
def test_tallies_add_up(sample: list[tuple[float, float]], cut: int) -> None:
    """Each value is in one bin or missing, and the tallies of two parts are that of the whole."""
    array = np.array(sample)
    binning = Binning.fit((False, True), array)
    whole = binning.tally(array)
    assert (whole.counts.sum(axis=1) + whole.missing).tolist() == [len(sample), len(sample)]
    assert whole.missing[0] == sum(isnan(number) for number, _ in sample)
    assert not whole.counts[~binning.used].any()
    cut = min(cut, len(sample) - 1)
    both = merged((binning.tally(array[:cut]), binning.tally(array[cut:])))
    assert (both.counts == whole.counts).all()
    assert both.total == pytest.approx(whole.total)
    rest = whole.without(binning.tally(array[:cut]))
    assert (rest.counts == binning.tally(array[cut:]).counts).all()
    assert rest.size == len(sample) - cut


@given(records)
def test_categories_have_their_own_bins(sample: list[tuple[float, float]]) -> None:
    """The common categories are counted one by one, by falling frequency; the others and new ones together."""
    array = np.array(sample)
    binning = Binning.fit((False, True), array)
    codes = binning.codes[1].tolist()
    assert len(codes) <= BINS - 1
    counted = binning.tally(np.vstack((array, [[0.0, 99.0]]))).counts[1]
    column = array[:, 1].tolist()
    assert counted[: len(codes)].tolist() == [column.count(code) for code in codes]
    assert counted[len(codes)] == len(sample) - sum(map(column.count, codes)) + 1
    assert sorted(counted[: len(codes)].tolist(), reverse=True) == counted[: len(codes)].tolist()


@given(st.lists(records, min_size=1, max_size=4))
def test_runs_are_those_of_a_walk(parts: list[list[tuple[float, float]]]) -> None:
    """However the rows are cut, repetitions are counted as by walking along them."""
    runs = Runs(2)
    for part in parts:
        runs.follow(np.array(part))
    stream = [row for part in parts for row in part]
    for signal in range(2):
        run = longest = repeats = 0
        for before, now in zip([(nan, nan), *stream], stream, strict=False):
            run = run + 1 if before[signal] == now[signal] else 0
            repeats += before[signal] == now[signal]
            longest = max(longest, run)
        assert (runs.current[signal], runs.longest[signal], runs.repeats[signal]) == (run, longest, repeats)


@given(
    st.lists(st.floats(min_value=0.0, max_value=1.0), min_size=1, max_size=20), st.floats(min_value=0.001, max_value=1)
)
def test_correction(p_values: list[float], level: float) -> None:
    """Rejected are the smallest, all that a correction by their number would reject, and none above the level."""
    rejected = benjamini_hochberg(p_values, level)
    kept = [p_value for p_value, out in zip(p_values, rejected, strict=True) if not out]
    out = [p_value for p_value, gone in zip(p_values, rejected, strict=True) if gone]
    assert all(p_value <= level for p_value in out)
    assert all(p_value > level / len(p_values) for p_value in kept)
    assert not out or not kept or max(out) <= min(kept)


def test_levels_keep_to_the_budget() -> None:
    """The levels of all tests in 100,000 events add up to the budget, however they are cut."""
    for pane, families in ((100, 4), (50, 1), (20, 10)):
        tests = 100_000 / pane * families
        assert level_of_test(0.5, pane, families) * tests == pytest.approx(0.5)
