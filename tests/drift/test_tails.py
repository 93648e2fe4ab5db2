"""Tails of distributions: the same as SciPy's, and sure of what is certain."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.drift.tails import beta_binomial_tail, chi_square_tail, f_tail, kolmogorov_tail, normal_tail, run_tail

SCIPY: Any = import_module("scipy.stats")
"""Not typed."""

values = st.floats(min_value=0.0, max_value=60.0)


@given(st.floats(min_value=-8.0, max_value=20.0))
def test_normal(z: float) -> None:
    """The normal tail is SciPy's, far out too."""
    assert normal_tail(z) == pytest.approx(SCIPY.norm.sf(z), rel=1e-9)


@given(values, st.integers(min_value=1, max_value=40))
def test_chi_square(value: float, degrees: int) -> None:
    """The chi-square tail is SciPy's, for even and odd degrees of freedom."""
    assert chi_square_tail(value, degrees) == pytest.approx(SCIPY.chi2.sf(value, degrees), rel=1e-9)


@given(values, st.floats(min_value=1.0, max_value=20.0), st.floats(min_value=1.0, max_value=200.0))
def test_f(ratio: float, first: float, second: float) -> None:
    """The tail of F is SciPy's, for broken degrees of freedom too."""
    assert f_tail(ratio, first, second) == pytest.approx(SCIPY.f.sf(ratio, first, second), rel=1e-7, abs=1e-280)


@given(
    st.integers(min_value=0, max_value=60),
    st.integers(min_value=60, max_value=300),
    st.integers(min_value=0, max_value=100),
    st.integers(min_value=100, max_value=3_000),
)
def test_beta_binomial(count: int, size: int, before: int, total: int) -> None:
    """The predictive tail is the sum of SciPy's probabilities, however small."""
    wanted = SCIPY.betabinom.pmf(range(count, size + 1), size, before + 0.5, total - before + 0.5).sum()
    assert beta_binomial_tail(count, size, before, total) == pytest.approx(wanted, rel=1e-6)


@given(st.floats(min_value=0.005, max_value=0.5), st.integers(min_value=50, max_value=5_000))
def test_kolmogorov(distance: float, size: int) -> None:
    """The series is SciPy's limiting distribution, at the distance corrected for the samples' sizes."""
    root = (size / 2.0) ** 0.5
    wanted = SCIPY.kstwobign.sf((root + 0.12 + 0.11 / root) * distance)
    assert kolmogorov_tail(distance, size, size) == pytest.approx(wanted, rel=1e-6, abs=1e-10)


@given(st.integers(min_value=0, max_value=400), st.integers(min_value=0, max_value=100))
def test_longer_runs_are_less_likely(length: int, repeats: int) -> None:
    """A run's probability falls with its length, and rises with how often values repeat themselves anyway."""
    assert 0.0 <= run_tail(length + 1, repeats, 100) <= run_tail(length, repeats, 100) <= 1.0
    assert run_tail(length, repeats, 200) <= run_tail(length, repeats, 100)
