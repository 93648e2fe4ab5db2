"""What `ConstantImputer` promises: exactly the features named, none missing, nothing learnt."""

from __future__ import annotations

import math
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from river.base.typing import FeatureName
from river.checks import check_estimator

from riverrun.models.constant_imputer import ConstantImputer

Features = dict[FeatureName, Any]
DEFAULTS = {"b": -1.5, "a": 7.0}
VALUE = st.sampled_from((None, math.nan, 0, 0.0, False, 3, -2.5, math.inf))


@given(x=st.fixed_dictionaries({}, optional={"a": VALUE, "b": VALUE, "c": VALUE}))
def test_exactly_the_features_named_and_none_missing(x: Features) -> None:
    """What is there stays, zeros included; what is absent, None or NaN becomes its default; the rest goes."""
    before = dict(x)
    filled = ConstantImputer(DEFAULTS).transform_one(x)
    assert list(filled) == list(DEFAULTS)
    for name, default in DEFAULTS.items():
        value = x.get(name)
        known = value is not None and not math.isnan(value)
        assert filled[name] == (value if known else default)
    assert list(x) == list(before), "the input was changed"


def test_it_learns_nothing_and_pickles() -> None:
    """Neither learning, cloning nor pickling changes what it gives, and River's laws for estimators hold."""
    imputer = ConstantImputer(DEFAULTS)
    imputer.learn_one({"a": 100.0})
    restored: ConstantImputer = pickle.loads(pickle.dumps(imputer))
    for each in (imputer, restored, imputer.clone()):
        assert each.transform_one({}) == DEFAULTS
    check_estimator(imputer)
