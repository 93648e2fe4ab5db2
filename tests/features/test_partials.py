"""The laws of every partial: identity, merging, storing, and what an aggregate of some values is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.features.partials import (
    Cells,
    Count,
    DecayedMean,
    Last,
    Maximum,
    Mean,
    Minimum,
    Partial,
    Sum,
    Variance,
)
from riverrun.features.sketches import Distinct, Quantile
from riverrun.records.items import FieldValue


class Kind(NamedTuple):
    """A partial with the values that it takes, and whether its results are exact however it was merged."""

    partial: Partial
    values: st.SearchStrategy[Any]
    exact: bool


# Plus zero: minimum and maximum keep the first of two zeros, whose signs are no law's business.
REALS: Final = st.floats(-1e3, 1e3).map(lambda number: number + 0.0)
KINDS: Final[Mapping[str, Kind]] = {
    "count": Kind(Count(), st.booleans(), exact=True),
    "sum": Kind(Sum(), REALS, exact=False),
    "mean": Kind(Mean(), REALS, exact=False),
    "variance": Kind(Variance(), REALS, exact=False),
    "min": Kind(Minimum(), REALS, exact=True),
    "max": Kind(Maximum(), st.integers(-(2**63), 2**63 - 1), exact=True),
    "last": Kind(Last(), st.text(max_size=3) | st.binary(max_size=3) | st.booleans(), exact=True),
    "distinct": Kind(Distinct(), st.sampled_from(["", "a", "b", "é", "N1"]), exact=True),
    "distinct numbers": Kind(Distinct(), st.integers(-3, 3), exact=True),
    "decayed_mean": Kind(DecayedMean(50.0), REALS, exact=False),
    "median": Kind(Quantile(0.5), REALS, exact=True),
    "quantile": Kind(Quantile(0.9), st.integers(-9, 9), exact=True),
}
NAMES: Final = tuple(KINDS)
TIMES: Final = st.integers(0, 400)

Words = list[tuple[Any, int]]


def fold(partial: Partial, word: Words) -> Cells:
    cells: Cells = [*partial.identity]
    for value, time in word:
        partial.update(cells, 0, value, time)
    return cells


def merged(partial: Partial, left: Cells, right: Cells) -> Cells:
    """Return the merge in a row of its own."""
    row = stored(partial, left)
    partial.merge(row, 0, right, 0)
    return row


def stored(partial: Partial, cells: Cells) -> Cells:
    """Return what comes back from the bytes."""
    row: Cells = [*partial.identity]
    data = encoded(partial, cells)
    assert partial.decode(data, 0, row, 0) == len(data)
    return row


def encoded(partial: Partial, cells: Cells) -> bytes:
    out = bytearray()
    partial.encode(cells, 0, out)
    return bytes(out)


def assert_same(kind: Kind, mine: Cells, theirs: Cells) -> None:
    """Results are equal, up to rounding where no more is promised."""
    found, wanted = kind.partial.result(mine, 0), kind.partial.result(theirs, 0)
    if kind.exact or found is None or wanted is None:
        assert repr(found) == repr(wanted)
    else:
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-7)


def words(data: st.DataObject, kind: Kind, count: int) -> list[Words]:
    """Draw the updates of some partials; no event time comes twice, for those of which ``last`` promises less."""
    updates = st.lists(st.tuples(kind.values, TIMES), unique_by=lambda update: update[1], max_size=12)
    drawn = data.draw(updates)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(drawn)), min_size=count - 1, max_size=count - 1)))
    return [drawn[low:high] for low, high in zip([0, *cuts], [*cuts, len(drawn)], strict=True)]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_merging_the_identity_changes_no_bit(name: str, data: st.DataObject) -> None:
    """On the left or on the right: the bytes stay, and so does the result."""
    partial = KINDS[name].partial
    (word,) = words(data, KINDS[name], 1)
    cells, nothing = fold(partial, word), [*partial.identity]
    for row in (merged(partial, cells, nothing), merged(partial, nothing, cells)):
        assert encoded(partial, row) == encoded(partial, cells)
        assert repr(partial.result(row, 0)) == repr(partial.result(cells, 0))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_merging_leaves_the_right_operand_as_it_was(name: str, data: st.DataObject) -> None:
    """Also when the left one was nothing, and when more is merged into the left one afterwards."""
    kind = KINDS[name]
    first, second, third = words(data, kind, 3)
    row, right, other = (fold(kind.partial, word) for word in (first, second, third))
    before = encoded(kind.partial, right), encoded(kind.partial, other)
    kind.partial.merge(row, 0, right, 0)
    kind.partial.merge(row, 0, other, 0)
    assert (encoded(kind.partial, right), encoded(kind.partial, other)) == before


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_merging_is_associative_and_commutative(name: str, data: st.DataObject) -> None:
    """Exactly or up to rounding, as the module says; and a merge is as good as one fold of everything."""
    kind = KINDS[name]
    first, second, third = words(data, kind, 3)
    a, b, c = (fold(kind.partial, word) for word in (first, second, third))
    left = merged(kind.partial, merged(kind.partial, a, b), c)
    assert_same(kind, left, merged(kind.partial, a, merged(kind.partial, b, c)))
    assert_same(kind, merged(kind.partial, a, b), merged(kind.partial, b, a))
    assert_same(kind, left, fold(kind.partial, first + second + third))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_was_stored_goes_on_bit_for_bit(name: str, data: st.DataObject) -> None:
    """Bytes hold the whole state: read back they are the same, and so is all that is updated or merged then."""
    kind = KINDS[name]
    first, second, third = words(data, kind, 3)
    kept, other = fold(kind.partial, first), fold(kind.partial, third)
    loaded = stored(kind.partial, kept)
    for step in range(2):
        assert encoded(kind.partial, loaded) == encoded(kind.partial, kept)
        assert repr(kind.partial.result(loaded, 0)) == repr(kind.partial.result(kept, 0))
        for value, time in second if step == 0 else []:
            kind.partial.update(loaded, 0, value, time)
            kind.partial.update(kept, 0, value, time)
    assert encoded(kind.partial, merged(kind.partial, loaded, other)) == encoded(
        kind.partial, merged(kind.partial, kept, other)
    )


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_cells_beside_stay_untouched(name: str, data: st.DataObject) -> None:
    """A partial in the middle of a row neither reads nor writes what lies before and after its own cells."""
    partial = KINDS[name].partial
    first, second = words(data, KINDS[name], 2)
    width = len(partial.identity)
    row = ["before", *partial.identity, "after"]
    other = ["theirs", "theirs", *fold(partial, second), "theirs"]
    for value, time in first:
        partial.update(row, 1, value, time)
    partial.merge(row, 1, other, 2)
    assert (row[0], row[-1], len(row), len(other)) == ("before", "after", width + 2, width + 3)
    wanted = merged(partial, fold(partial, first), fold(partial, second))
    assert repr(partial.result(row, 1)) == repr(partial.result(wanted, 0))


@pytest.mark.parametrize(
    ("name", "nothing"),
    [("count", 0), ("sum", 0.0), ("distinct", 0)]
    + [(name, None) for name in ("mean", "variance", "min", "max", "last", "decayed_mean", "median")],
)
def test_an_aggregate_of_nothing(name: str, nothing: FieldValue) -> None:
    """It is missing, but for counts and sums, which are zero."""
    partial = KINDS[name].partial
    assert repr(partial.result([*partial.identity], 0)) == repr(nothing)


@pytest.mark.parametrize(
    ("partial", "word", "wanted"),
    [
        (Count(), [(False, 1), (True, 2)], 2),
        (Sum(), [(True, 1), (False, 2), (True, 3)], 2.0),
        (Sum(), [(2, 1), (0.5, 2)], 2.5),
        (Mean(), [(True, 1), (False, 2)], 0.5),
        (Mean(), [(1, 1), (2, 2), (6, 3)], 3.0),
        (Variance(), [(5, 1)], 0.0),
        (Variance(), [(1, 1), (2, 2), (6, 3)], 14 / 3),
        (Minimum(), [(3, 1), (-1, 2), (2, 3)], -1),
        (Maximum(), [(3, 1), (-1, 2), (2, 3)], 3),
        (Last(), [("a", 5), ("b", 9), ("c", 7)], "b"),
        (Last(), [("a", 5), ("b", 5)], "b"),
        (DecayedMean(10.0), [(4.0, 100), (1.0, 110)], (4.0 / 2 + 1.0) / 1.5),
        (DecayedMean(10.0), [(1.0, 110), (4.0, 100)], (4.0 / 2 + 1.0) / 1.5),
        (DecayedMean(10.0), [(4.0, 0), (1.0, 10**15)], 1.0),
    ],
)
def test_what_an_aggregate_is(partial: Partial, word: Words, wanted: FieldValue) -> None:
    """The plain cases, worked out by hand."""
    assert (
        partial.result(fold(partial, word), 0) == pytest.approx(wanted, rel=1e-15)
        if isinstance(wanted, float)
        else repr(partial.result(fold(partial, word), 0)) == repr(wanted)
    )


@pytest.mark.parametrize("make", [Sum, Mean, Variance, lambda: DecayedMean(5.0)])
def test_what_overflows_is_missing(make: Callable[[], Partial]) -> None:
    """Neither an infinity nor NaN ever reaches a vector, however partials were merged."""
    partial = make()
    great, small = fold(partial, [(1.7e308, 1), (1.7e308, 1)]), fold(partial, [(-1.7e308, 1), (-1.7e308, 1)])
    for cells in (great, merged(partial, great, small), merged(partial, small, great)):
        found = partial.result(cells, 0)
        assert found is None or (isinstance(found, float) and math.isfinite(found))
    assert partial.result(merged(partial, great, great), 0) is None or isinstance(partial, Variance)


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.integers(0, 1_000), min_size=2, max_size=40),
    base=st.sampled_from([0, 10**6, 10**9]),
    cut=st.integers(0, 40),
)
def test_the_variance_of_great_numbers_that_differ_little(values: list[int], base: int, cut: int) -> None:
    """No large squares are subtracted from each other: it agrees with exact fractions to six digits."""
    partial = Variance()
    word: Words = [(float(base + value), 0) for value in values]
    found = partial.result(merged(partial, fold(partial, word[:cut]), fold(partial, word[cut:])), 0)
    mean = Fraction(sum(values), len(values))
    exact = sum((value - mean) ** 2 for value in values) / len(values)
    assert found == pytest.approx(float(exact), rel=1e-6, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(late=TIMES, word=st.lists(st.tuples(REALS, TIMES), min_size=1, max_size=8))
def test_a_decayed_mean_is_the_same_in_any_order(late: int, word: Words) -> None:
    """A late value enters with what is left of its weight, so the order of arrival does not matter."""
    partial = DecayedMean(50.0)
    assert partial.result(fold(partial, [*word, (7.0, late)]), 0) == pytest.approx(
        partial.result(fold(partial, [(7.0, late), *word]), 0), rel=1e-9, abs=1e-9
    )
