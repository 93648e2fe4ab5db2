"""The exact names that a snapshot may load: module and name, pair by pair, none of them with a dot.

What is listed is what models are made of. River's part of the list, ``river_names.txt``, is written by
``scripts/river_names.py`` from the River that is locked, and read by people whenever it changes; the rest stands
here. A name leads to a thing only if that thing is *defined* there: its own ``__module__`` and ``__qualname__`` must
be the pair, so that what a module merely imports is out of reach.
"""

from __future__ import annotations

import copy
import functools
import importlib
import random
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection
from datetime import date, datetime, timedelta, timezone
from functools import cache
from importlib import resources
from typing import Final

import numpy as np

__all__ = ["defined", "named", "river_names"]

_VALUES: Final = (bool, int, float, complex, str, bytes, bytearray, range, slice, object)
_CONTAINERS: Final = (list, tuple, dict, set, frozenset, OrderedDict, defaultdict, deque, Counter)
_TIMES: Final = (datetime, date, timedelta, timezone)
# `partial` calls what was loaded before, which is on this list too: no more than pickle itself can do.
_OTHERS: Final = (functools.partial, random.Random, np.ndarray, np.dtype)

_NUMPY: Final = (
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("numpy.random._pickle", "__generator_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._mt19937", "MT19937"),
    ("numpy.random._pcg64", "PCG64"),
    ("numpy.random.bit_generator", "SeedSequence"),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
)

_OWN: Final = frozenset(
    {
        ("riverrun.models.binned_crosses", "BinnedCrosses"),
        ("riverrun.models.constant_imputer", "ConstantImputer"),
        ("riverrun.models.ordering", "OrderedSelect"),
        ("riverrun.models.pickling", "restore_distribution"),
        ("riverrun.models.pickling", "restore_member"),
        ("riverrun.models.pickling", "restore_method"),
    }
)
"""Parts of models that riverrun itself defines, and what its own pickles call."""


def named(module: str, name: str, modules: Collection[str]) -> object:
    """Return what a pair means, or None if the pair is not on the list.

    Parameters
    ----------
    module, name
        As a pickle gives them.
    modules
        Modules whose own classes and functions are on the list too: the pipeline file's.
    """
    if "." in name:
        return None
    exact = _exact().get((module, name))
    if exact is not None:
        return exact
    if module in modules:
        return defined(sys.modules.get(module), name)
    if (module, name) in _OWN or (module, name) in river_names():
        try:
            return defined(importlib.import_module(module), name)
        except ImportError:
            return None
    return None


def defined(module: types.ModuleType | None, name: str) -> object:
    """Return the class or function that a module itself defines under a name, else None."""
    if module is None or name.startswith("__"):
        return None
    found: object = vars(module).get(name)
    if not isinstance(found, type | types.FunctionType | types.BuiltinFunctionType):
        return None
    if found.__module__ != module.__name__ or found.__qualname__ != name:
        return None
    return found


@cache
def river_names() -> frozenset[tuple[str, str]]:
    """Return River's part of the list."""
    text = resources.files("riverrun.models").joinpath("river_names.txt").read_text(encoding="utf-8")
    pairs = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return frozenset((module, name) for module, _, name in pairs)


@cache
def _exact() -> dict[tuple[str, str], object]:
    kinds: tuple[type, ...] = (*_VALUES, *_CONTAINERS, *_TIMES, *_OTHERS)
    pairs: dict[tuple[str, str], object] = {(kind.__module__, kind.__qualname__): kind for kind in kinds}
    pairs["copy", "deepcopy"] = copy.deepcopy
    for module, name in _NUMPY:
        pairs[module, name] = getattr(importlib.import_module(module), name)
    return pairs
