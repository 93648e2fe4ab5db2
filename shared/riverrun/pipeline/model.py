"""A model of a pipeline: its name, what builds it, and the seed that makes it repeatable."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.locations import Location, caller_location

__all__ = ["Factory", "Model"]

Factory = Callable[..., object]
"""Builds a fresh model; called with ``seed=`` if it has a parameter of that name, else without arguments."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model and how to build it.

    Parameters
    ----------
    name : str
        Unique in the pipeline; letters, digits, ``-`` and ``_``.
    factory : callable
        Returns a fresh River estimator or pipeline, or any object with ``learn_one(x, y)`` and, for a
        condition, ``predict_proba_one(x)`` that returns the probabilities of True and False, for a number
        ``predict_one(x)``. A class will do.
    seed : int
        Handed to ``factory`` if it has a parameter called ``seed``, so that a rebuilt model equals the first.

    Examples
    --------
    >>> class Constant:
    ...     def __init__(self, seed: int) -> None:
    ...         self.seed = seed
    ...     def learn_one(self, x, y): ...
    ...     def predict_one(self, x):
    ...         return self.seed
    >>> vars(Model("constant", Constant, seed=7).build())
    {'seed': 7}
    """

    name: str
    factory: Factory
    seed: int = 0
    location: Location | None = field(default_factory=caller_location, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise DefinitionError(f"a model's name is a text, not {self.name!r}", code="bad-model")
        if not callable(self.factory):
            raise DefinitionError(
                f"the factory of model {self.name!r} cannot be called",
                hint="give a function that builds the model, such as lambda: LogisticRegression()",
                code="bad-model",
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise DefinitionError(f"the seed of model {self.name!r} is an integer, not {self.seed!r}", code="bad-model")

    def build(self) -> object:
        """Build a fresh model; what the factory raises passes through."""
        return self.factory(seed=self.seed) if _takes_seed(self.factory) else self.factory()


def _takes_seed(factory: Factory) -> bool:
    try:
        return "seed" in inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some callables written in C do not tell
        return False
