"""What each input adds to a linear model's score: its weight times its value, in the model's own scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, cast

from river import compose
from river.linear_model.base import GLM

from riverrun.models.adapter import Features

__all__ = ["INTERCEPT", "Contributions", "contributions_of"]

INTERCEPT: Final = "(intercept)"
"""Stands for what the model adds to every score; no feature has a name with brackets."""

Contributions = Callable[[Features], dict[str, float]]


class _Linear(Protocol):
    weights: dict[object, float]
    intercept: float


class _Transforming(Protocol):
    def transform_one(self, x: Features) -> dict[object, float]: ...


def contributions_of(estimator: object) -> Contributions | None:
    """Return a function from a vector to the contributions of a linear model's inputs; None for other models.

    The contributions are of the model's inputs as its transformers made them (a scaled number, a bin, a cross), and
    add up to its raw score: the log-odds for logistic regression, the number itself for linear regression. The model
    must not learn while the function is in use.

    Parameters
    ----------
    estimator
        A River model, or a pipeline that ends in one.

    Examples
    --------
    >>> from river import linear_model
    >>> model = linear_model.LinearRegression(intercept_lr=0.0)
    >>> model.learn_one({"x": 1.0}, 50.0)
    >>> contributions_of(model)({"x": 3.0}), model.predict_one({"x": 3.0})
    ({'(intercept)': 0.0, 'x': 3.0}, 3.0)
    """
    transform: _Transforming | None = None
    last = estimator
    if isinstance(estimator, compose.Pipeline):
        last = list(estimator.steps.values())[-1]
        transform = cast("_Transforming", estimator)
    if not isinstance(last, GLM):
        return None
    linear = cast("_Linear", last)
    # A copy that River makes anew with each look: made once, as a published model does not change.
    weights, intercept = linear.weights, float(linear.intercept)

    def contributions(x: Features) -> dict[str, float]:
        inputs = cast("dict[object, float]", x) if transform is None else transform.transform_one(x)
        found = {INTERCEPT: intercept}
        for name, value in inputs.items():
            weight = weights.get(name)
            if weight is not None:
                found[str(name)] = weight * value
        return found

    return contributions
