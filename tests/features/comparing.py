"""Comparing vectors: to the bit, or up to the rounding of doubles where an aggregate promises no more."""

from __future__ import annotations

import pytest

from riverrun.records.items import FieldValue
from tests.features.made import APPROXIMATE, FEATURES

Values = tuple[FieldValue, ...]


def assert_close(found: Values, wanted: Values) -> None:
    """Everything is equal, kind included, but for the aggregates that round; those to nine digits."""
    for name, mine, theirs in zip(FEATURES, found, wanted, strict=True):
        assert type(mine) is type(theirs), (name, mine, theirs)
        if name in APPROXIMATE and mine is not None:
            assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-9), name
        else:
            assert mine == theirs, name


def bits(values: Values) -> str:
    """Return a text that differs if any bit does, the sign of a zero included."""
    return repr(values)
