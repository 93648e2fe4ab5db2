"""What `BinnedCrosses` promises: exact bins, unambiguous tokens, no state, bounded memory, plain refusals."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model, optim
from river.base.typing import FeatureName
from river.checks import check_estimator

from riverrun.models.binned_crosses import BinnedCrosses, BinnedCrossesError

Features = dict[FeatureName, Any]

EDGES = {"delay": (0.0, 15.0, 60.0), "wind": (10.0,)}
TERMS = ("delay", "origin", ("origin", "delay"), ("delay", "wind"), ("origin", "hour", "wind"))

NUMBER = st.sampled_from((None, math.nan, -math.inf, -0.0, 0, 14.9, 15, 60.0, 1e300))
LABEL = st.sampled_from((None, True, 0, 7, "7", "None", "EWR", "", "|", "'|'", "a|b", "ü"))
FEATURES = st.fixed_dictionaries(
    {}, optional={"delay": NUMBER, "wind": NUMBER, "origin": LABEL, "hour": LABEL, "unused": LABEL}
)


def _model(buckets: int | None = None) -> BinnedCrosses:
    return BinnedCrosses(EDGES, TERMS, buckets)


def _tokens(model: BinnedCrosses, x: Features) -> set[object]:
    return set(model.transform_one(x))


@given(x=FEATURES)
def test_one_token_a_term(x: Features) -> None:
    """Whatever is missing, every term gives exactly one token of value 1, in the same order each time."""
    tokens = _model().transform_one(x)
    assert set(tokens.values()) == {1.0}
    assert len(tokens) == len(TERMS)
    assert list(tokens) == list(_model().transform_one(x))


@given(value=st.floats(allow_nan=False), edges=st.lists(st.floats(-100, 100), min_size=1, unique=True))
def test_bin_is_number_of_edges_at_or_below(value: float, edges: list[float]) -> None:
    """A value's bin is the number of edges that are not above it, infinities included."""
    model = BinnedCrosses({"v": sorted(edges)}, ["v"])
    assert list(model.transform_one({"v": value})) == [f"v={sum(edge <= value for edge in edges)}"]


def test_missing_is_a_bin_of_its_own() -> None:
    """None, NaN and absence are one and the same bin, which no number falls into."""
    model = BinnedCrosses({"delay": (0.0,)}, ["delay"])
    unknown: list[Features] = [{"delay": None}, {"delay": math.nan}, {}]
    missing = [_tokens(model, x) for x in unknown]
    assert missing[0] == missing[1] == missing[2]
    assert missing[0].isdisjoint(_tokens(model, {"delay": -1.0}) | _tokens(model, {"delay": 1.0}))


@given(a=st.tuples(LABEL, LABEL), b=st.tuples(LABEL, LABEL))
def test_crosses_of_different_values_differ(a: tuple[object, object], b: tuple[object, object]) -> None:
    """Two combinations share a token only if they are the same, even if values contain the separator."""
    model = BinnedCrosses({}, [("p", "q")])
    same = [repr(v) for v in a] == [repr(v) for v in b]
    assert (_tokens(model, {"p": a[0], "q": a[1]}) == _tokens(model, {"p": b[0], "q": b[1]})) == same


def test_separator_inside_a_value() -> None:
    """Values that contain the separator do not run into each other."""
    model = BinnedCrosses({}, [("p", "q")])
    assert _tokens(model, {"p": "a|b", "q": "c"}) != _tokens(model, {"p": "a", "q": "b|c"})
    assert _tokens(model, {"p": "a'|'b", "q": "c"}) != _tokens(model, {"p": "a", "q": "b'|'c"})


def test_tokens_of_different_terms_differ() -> None:
    """Over all combinations of a few values, every (term, values) has a token of its own."""
    model = _model()
    seen = set()
    wanted = set()
    for delay, wind, origin, hour in product((None, 3.0, 70.0), (None, 5.0), ("EWR", None), (7, "7")):
        x: Features = {"delay": delay, "wind": wind, "origin": origin, "hour": hour}
        seen |= _tokens(model, x)
        for term in TERMS:
            names = (term,) if isinstance(term, str) else term
            wanted.add((names, tuple(x[name] for name in names)))
    assert len(seen) == len(wanted)


@given(x=FEATURES, buckets=st.integers(1, 50))
def test_hashed_tokens_stay_within_buckets(x: Features, buckets: int) -> None:
    """Hashed tokens lie in the buckets, and together count every term once."""
    tokens = _model(buckets).transform_one(x)
    assert all(isinstance(bucket, int) and 0 <= bucket < buckets for bucket in tokens)
    assert sum(tokens.values()) == len(TERMS)


def test_hash_is_the_same_in_every_process() -> None:
    """The bucket of a token is fixed for ever: saved models depend on it."""
    model = BinnedCrosses({}, ["origin"], buckets=2**20)
    assert model.transform_one({"origin": "EWR"}) == {748603: 1.0}


def test_learning_changes_nothing_and_pickles() -> None:
    """It is stateless: neither learning, cloning nor pickling changes what it gives."""
    model = _model()
    x: Features = {"delay": 20.0, "origin": "LGA", "hour": 8, "wind": 3.0}
    before = model.transform_one(x)
    model.learn_one(x)
    restored: BinnedCrosses = pickle.loads(pickle.dumps(model))
    for other in (model, restored, model.clone()):
        assert other.transform_one(x) == before


def test_it_passes_rivers_own_checks() -> None:
    """River's laws for estimators hold: parameters, cloning, printing, pickling."""
    check_estimator(_model())


def test_a_linear_model_learns_what_only_a_cross_can_tell() -> None:
    """With a cross, a logistic regression learns exclusive or; without it, it cannot."""

    def accuracy(terms: Sequence[str | tuple[str, ...]]) -> float:
        model = BinnedCrosses({"a": (0.5,)}, terms) | linear_model.LogisticRegression(
            optim.FTRLProximal(alpha=0.1, l2=0.0)
        )
        hits: list[bool] = []
        for i in range(400):
            a, b = float(i % 2), "yes" if i // 2 % 2 else "no"
            truth = (a > 0) != (b == "yes")
            hits.append(bool(model.predict_one({"a": a, "b": b}) == truth))
            model.learn_one({"a": a, "b": b}, truth)
        return sum(hits[200:]) / 200

    assert accuracy(["a", "b", ("a", "b")]) == 1.0
    assert accuracy(["a", "b"]) < accuracy(["a", "b", ("a", "b")]) - 0.2


@pytest.mark.parametrize(
    ("edges", "terms", "buckets", "complaint"),
    [
        ({"a": (1.0, 1.0)}, ["a"], None, "strictly increasing"),
        ({"a": ()}, ["a"], None, "edges of 'a'"),
        ({"a": (0.0, math.inf)}, ["a"], None, "finite"),
        ({"a": (math.nan,)}, ["a"], None, "finite"),
        ({"a": (0.0,)}, ["b"], None, "no term uses them: \\['a'\\]"),
        ({}, ["a", ("a",)], None, "twice"),
        ({}, [("a", "a")], None, "each once"),
        ({}, [()], None, "at least one feature"),
        ({}, ["a"], 0, "buckets"),
    ],
)
def test_bad_definitions_are_refused(
    edges: dict[str, tuple[float, ...]],
    terms: list[str | tuple[str, ...]],
    buckets: int | None,
    complaint: str,
) -> None:
    """A definition that cannot be meant is refused at once, and the message says what is wrong."""
    with pytest.raises(BinnedCrossesError, match=complaint):
        BinnedCrosses(edges, terms, buckets)


def test_text_in_a_numeric_feature_is_refused() -> None:
    """A number that arrives as text is an error that names the feature, not a wrong bin."""
    with pytest.raises(BinnedCrossesError, match="'delay' has bin edges"):
        _model().transform_one({"delay": "7.5"})
