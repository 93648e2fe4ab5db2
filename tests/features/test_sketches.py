"""Distinct count and quantile: exact for little, within their bounds for much, the same bits whatever happened."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.features.partials import Cells, Partial
from riverrun.features.sketches import EXACT_DISTINCT, EXACT_QUANTILE, Distinct, Quantile
from tests.features.test_partials import encoded, fold, merged, stored

MANY = 20_000


def folded(partial: Partial, values: Sequence[Any]) -> Cells:
    return fold(partial, [(value, 0) for value in values])


def number(found: object) -> float:
    assert isinstance(found, int | float)
    return float(found)


@pytest.mark.parametrize("count", [1, 2, EXACT_DISTINCT - 1, EXACT_DISTINCT])
def test_few_different_values_are_counted_exactly(count: int) -> None:
    """Up to the bound that the module names, however often each value came."""
    values = [f"N{value}" for value in range(count)]
    assert Distinct().result(folded(Distinct(), values + values[: count // 2]), 0) == count


@pytest.mark.parametrize("count", [3_000, MANY])
@pytest.mark.parametrize("make", [str, int, float, lambda value: value.to_bytes(4, "big")], ids="tifb")
def test_many_different_values_are_counted_within_bounds(make: Callable[[int], object], count: int) -> None:
    """Within three standard errors of about 3 %, for values of every kind."""
    found = Distinct().result(folded(Distinct(), [make(value) for value in range(count)]), 0)
    assert found == pytest.approx(count, rel=0.1)
    assert isinstance(found, int)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 3_000), max_size=4), again=st.integers(0, 3_000), shuffled=st.randoms())
def test_a_distinct_count_is_the_same_bytes_however_it_was_split(
    cuts: list[int], again: int, shuffled: random.Random
) -> None:
    """Any cut into rows, merged in any order, stored in between, equals one sketch of all values."""
    distinct = Distinct()
    values = [f"{value}" for value in range(3_000)]
    whole = encoded(distinct, folded(distinct, values))
    bounds = [0, *sorted(cuts), len(values)]
    parts = [folded(distinct, values[low:high]) for low, high in itertools.pairwise(bounds)]
    parts.append(folded(distinct, values[:again]))
    shuffled.shuffle(parts)
    row: Cells = [*distinct.identity]
    for part in parts:
        distinct.merge(row, 0, part, 0)
        row = stored(distinct, row)
    assert encoded(distinct, row) == whole


@pytest.mark.parametrize("values", [("", "\x00", "0"), (b"", b"\x00", b"0"), (0.0, 1.0, -1.0), (True, False)])
def test_values_that_differ_little_are_different(values: tuple[object, ...]) -> None:
    """Empty texts and bytes count too."""
    assert Distinct().result(folded(Distinct(), values), 0) == len(values)


def test_both_zeros_are_one_number() -> None:
    """They are equal, so they are counted once."""
    assert Distinct().result(folded(Distinct(), [0.0, -0.0]), 0) == 1


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.integers(-9, 9), min_size=1, max_size=EXACT_QUANTILE),
    q=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    cut=st.integers(0, EXACT_QUANTILE),
)
def test_the_quantile_of_few_values_is_exact(values: list[float], q: float, cut: int) -> None:
    """Up to the bound that the module names it is the interpolated one, merged or not."""
    partial = Quantile(q)
    found = partial.result(merged(partial, folded(partial, values[:cut]), folded(partial, values[cut:])), 0)
    assert found == pytest.approx(np.quantile(values, q), rel=1e-12, abs=1e-12)


def test_interpolation_does_not_overflow() -> None:
    """Halfway between the two greatest doubles of opposite sign lies zero."""
    assert Quantile(0.5).result(folded(Quantile(0.5), [-1.7e308, 1.7e308]), 0) == 0.0


DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "uniform": lambda source: source.random(),
    "normal": lambda source: source.gauss(0, 1),
    "skewed": lambda source: source.paretovariate(1.1),
    "few values": lambda source: float(source.randrange(5)),
}


@pytest.mark.parametrize("panes", [1, 24])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("order", ["as it comes", "sorted"])
def test_the_quantile_of_many_values_is_within_one_percent_in_rank(distribution: str, panes: int, order: str) -> None:
    """For several distributions, in and out of order, of one pane or merged from many."""
    source = random.Random(5)
    values = [DISTRIBUTIONS[distribution](source) for _ in range(MANY)]
    if order == "sorted":
        values.sort()
    size = -(-MANY // panes)
    ordered = np.sort(values)
    for q in (0.01, 0.25, 0.5, 0.9, 0.99):
        partial = Quantile(q)
        row: Cells = [*partial.identity]
        for start in range(0, MANY, size):
            partial.merge(row, 0, folded(partial, values[start : start + size]), 0)
        found = number(partial.result(row, 0))
        low = np.searchsorted(ordered, found - 1e-9, "left") / MANY
        high = np.searchsorted(ordered, found + 1e-9, "right") / MANY
        assert low - 0.01 <= q <= high + 0.01, (q, found, low, high)


@settings(max_examples=20, deadline=None)
@given(looks=st.sets(st.integers(0, 600), max_size=20), seed=st.integers(0, 99))
def test_looking_does_not_change_a_sketch(looks: set[int], seed: int) -> None:
    """Results and bytes taken in between leave all that follows bit for bit as it would have been."""
    source = random.Random(seed)
    for partial in (Quantile(0.5), Distinct()):
        quiet: Cells = [*partial.identity]
        watched: Cells = [*partial.identity]
        for position in range(600):
            value = source.randrange(2_000)
            partial.update(quiet, 0, value, 0)
            partial.update(watched, 0, value, 0)
            if position in looks:
                partial.result(watched, 0)
                encoded(partial, watched)
                merged(partial, watched, quiet)
        assert encoded(partial, watched) == encoded(partial, quiet)
        assert partial.result(watched, 0) == partial.result(quiet, 0)


@pytest.mark.parametrize("count", [100, 1_000])
def test_large_sketches_survive_storing_and_merging(count: int) -> None:
    """With a digest or a full theta sketch inside, stored and loaded go on alike, and operands stay."""
    values = [(value * 7_919) % 3_001 for value in range(count)]
    for partial in (Quantile(0.9), Distinct()):
        kept, right = folded(partial, values), folded(partial, [value + 10_000 for value in values])
        loaded, before = stored(partial, kept), encoded(partial, right)
        for value in range(500):
            partial.update(kept, 0, value, 0)
            partial.update(loaded, 0, value, 0)
        assert encoded(partial, loaded) == encoded(partial, kept)
        assert encoded(partial, merged(partial, loaded, right)) == encoded(partial, merged(partial, kept, right))
        assert encoded(partial, right) == before


def test_numbers_that_are_not_finite_are_left_out() -> None:
    """One infinity in a digest would spoil every quantile after it."""
    partial = Quantile(0.5)
    assert partial.result(folded(partial, [float("nan"), 1.0, float("inf")]), 0) == 1.0
    assert partial.result(folded(partial, [float("nan")]), 0) is None
