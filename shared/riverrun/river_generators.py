"""Lets River's unseeded distributions share one generator of random numbers.

River gives every distribution its own, seeded by the operating system: 2.5 kB and some 10 µs for each leaf, feature and
class of a tree. Learning and predicting never use it, only who draws a sample does, and what is drawn without a seed
can be told from nothing else. Of a forest's memory they are two thirds. A seeded generator is part of its model, and
stays its own.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, Final

from river.proba.base import Distribution

__all__ = ["share_generators"]

_GENERATOR: Final = "_rng"
_init_with_its_own: Final[Any] = Distribution.__init__


def share_generators() -> None:
    """Let every unseeded distribution that is made from now on draw from one generator, the class's."""
    holder = SimpleNamespace()
    _init_with_its_own(holder)
    shared = getattr(holder, _GENERATOR)
    # A copy of the process would draw what this one draws.
    os.register_at_fork(after_in_child=shared.seed)
    for name, member in {_GENERATOR: shared, "__init__": _init}.items():
        setattr(Distribution, name, member)


def _init(self: Distribution, seed: int | None = None) -> None:
    if seed is None:
        self.seed = None
    else:
        _init_with_its_own(self, seed)
