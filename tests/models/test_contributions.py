"""Contributions of linear models: they add up to the raw score, whatever comes before the weights."""

from __future__ import annotations

from math import isclose, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import compose, linear_model, optim, preprocessing, tree

from riverrun.models.adapter import Features
from riverrun.models.binned_crosses import BinnedCrosses
from riverrun.models.contributions import INTERCEPT, contributions_of

NUMBERS = st.dictionaries(st.sampled_from("abcd"), st.floats(-5, 5), min_size=1)


def _classifiers() -> dict[str, compose.Pipeline]:
    return {
        "plain": compose.Pipeline(linear_model.LogisticRegression()),
        "scaled": preprocessing.StandardScaler() | linear_model.LogisticRegression(optimizer=optim.AdaGrad(0.1)),
        "crossed": BinnedCrosses({"a": (0.0, 1.0)}, ("a", "b", ("a", "b")))
        | linear_model.LogisticRegression(optimizer=optim.FTRLProximal(l1=0.0)),
        "selected": compose.Select("a", "b") | linear_model.LogisticRegression(),
    }


@pytest.mark.parametrize("name", _classifiers())
@settings(max_examples=30, deadline=None)
@given(taught=st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1, max_size=12), asked=NUMBERS)
def test_they_add_up_to_the_log_odds(
    name: str, taught: list[tuple[dict[str, float], bool]], asked: dict[str, float]
) -> None:
    """Their sum is the log-odds of the probability that the model gives, and asking changes nothing."""
    whole = {"a": 0.0, "b": 0.0}
    model = _classifiers()[name]
    for given_, y in taught:
        model.learn_one(whole | given_, y)
    x: Features = {**whole, **asked}
    probability = model.predict_proba_one(x)[True]
    explain = contributions_of(model)
    assert explain is not None
    found = explain(x)
    assert INTERCEPT in found
    if 1e-9 < probability < 1 - 1e-9:
        assert isclose(sum(found.values()), log(probability / (1 - probability)), rel_tol=1e-6, abs_tol=1e-6)
    assert explain(x) == found
    assert model.predict_proba_one(x)[True] == probability


def test_other_models_have_none() -> None:
    """A tree gives no contributions, alone or behind a transformer."""
    assert contributions_of(tree.HoeffdingTreeClassifier()) is None
    assert contributions_of(preprocessing.StandardScaler() | tree.HoeffdingTreeClassifier()) is None


def test_names_are_texts() -> None:
    """Inputs that are numbered, as hashed ones are, are named by their number."""
    model = BinnedCrosses({}, ("a",), buckets=7) | linear_model.LinearRegression()
    model.learn_one({"a": "x"}, 3.0)
    explain = contributions_of(model)
    assert explain is not None
    assert all(isinstance(name, str) for name in explain({"a": "x"}))
    assert isclose(sum(explain({"a": "x"}).values()), model.predict_one({"a": "x"}))
