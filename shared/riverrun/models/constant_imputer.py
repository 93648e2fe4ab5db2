"""A transformer for models that need every feature: it selects features and fills in constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any

from river import base
from river.base.typing import FeatureName


class ConstantImputer(base.Transformer):
    """Keep the features named, and replace each that is missing by a constant.

    A vector leaves out what is missing, which River's own ``Select`` and ``StatImputer`` take for an error. A
    feature counts as missing if it is not there, None or NaN. Nothing is learnt.

    Parameters
    ----------
    defaults
        The features to keep, with what stands for each when it is missing. The output has exactly these, in
        this order.

    Examples
    --------
    >>> imputer = ConstantImputer({"delay": 10.0, "wind": 0.0})
    >>> imputer.transform_one({"wind": 7.0, "origin": "EWR"})
    {'delay': 10.0, 'wind': 7.0}
    """

    def __init__(self, defaults: Mapping[str, float]) -> None:
        self.defaults = defaults
        self._items = tuple(defaults.items())

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        """Give River's estimator checks something to build the transformer with."""
        yield {"defaults": {"x": 0.0}}

    def transform_one(self, x: dict[FeatureName, Any]) -> dict[FeatureName, Any]:
        """Give the features named, none of them missing.

        Parameters
        ----------
        x
            Feature values by name. It is left as it is.
        """
        get = x.get
        filled: dict[FeatureName, Any] = {}
        for name, default in self._items:
            value = get(name)
            filled[name] = default if value is None or isnan(value) else value
        return filled
