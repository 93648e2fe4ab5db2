"""Pickle for models, with an unpickler that knows by exact name what it may load.

A prefix such as ``river.`` is not a boundary: a module inside it imports ``os``, and a dotted name walks
there. Here a name resolves only to something *defined* where it is asked for: its own ``__module__`` and
``__qualname__`` must be the module and the name that the pickle gives, and every step of a dotted name must
lie in a class's own dictionary. What is needed from outside River is listed pair by pair.
"""

from __future__ import annotations

import copy
import functools
import importlib
import io
import pickle
import random
import re
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta, timezone
from typing import Final, cast

import numpy as np
from river.proba.base import Distribution

from riverrun.models.digest import DigestError, without_unseeded_generator

__all__ = ["ForbiddenGlobalError", "dump_state", "load_state"]

_PROTOCOL: Final = 5
_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

_OWN: Final = frozenset(
    {"riverrun.models.binned_crosses", "riverrun.models.constant_imputer", "riverrun.models.ordering"}
)
"""Modules of riverrun that define parts of models."""

_BARRED: Final = (
    "river.api",
    "river.checks",
    "river.compat",
    "river.datasets",
    "river.evaluate",
    "river.stream",
)
"""Parts of River that hold no estimators, but reach for files and networks."""


class ForbiddenGlobalError(DigestError):
    """A pickle names something that no model needs; it was not loaded."""


def dump_state(state: object) -> bytes:
    """Pickle a model (or several, with what belongs to them).

    Raises
    ------
    DigestError
        If it holds something that cannot be pickled.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, _PROTOCOL).dump(state)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise DigestError(
            f"the model cannot be pickled: {error}",
            hint="define functions and classes at the top level of the pipeline file; no lambdas or files",
        ) from error
    except RecursionError as error:
        raise DigestError(
            "the model cannot be pickled: its objects are nested too deeply",
            hint="bound its depth (max_depth, max_nodes), or keep its nodes in a list",
        ) from error
    return buffer.getvalue()


def load_state(payload: bytes, modules: Collection[str] = ()) -> object:
    """Unpickle what `dump_state` made. Only ever call it on what a trusted key has signed.

    Parameters
    ----------
    payload
        The pickle.
    modules
        Names of modules, besides River's, whose own classes and functions it may hold: the pipeline file's.

    Raises
    ------
    ForbiddenGlobalError
        If the pickle names anything else.
    DigestError
        If it is damaged.
    """
    try:
        return _Unpickler(io.BytesIO(payload), _OWN.union(modules)).load()
    except ForbiddenGlobalError:
        raise
    except Exception as error:
        raise DigestError(f"the model's state cannot be read: {type(error).__name__}: {error}") from error


_Reduced = tuple[Callable[..., object], tuple[object, ...]] | tuple[Callable[..., object], tuple[object, ...], object]

_USUAL_WAY: Final = cast("_Reduced", NotImplemented)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: object) -> _Reduced:
        if isinstance(obj, types.MethodType):
            return (restore_method, (obj.__self__, obj.__name__))
        if isinstance(obj, Distribution) and type(obj).__reduce__ is object.__reduce__:
            state = obj.__getstate__()
            pruned = without_unseeded_generator(obj, state)
            if pruned is not state:
                return (restore_distribution, (type(obj),), pruned)
        return _USUAL_WAY


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, modules: frozenset[str]) -> None:
        super().__init__(file)
        self._modules = modules

    def find_class(self, module: str, name: str) -> object:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ForbiddenGlobalError("a pickle names something by what is not text")
        exact = _EXACT.get((module, name))
        if exact is not None:
            return exact
        if module in self._modules or _is_of_river(module):
            found = _defined(module, name)
            if found is not None:
                return found
        raise ForbiddenGlobalError(
            f"a model's pickle names {module}.{name}, which is not on the list of what models are made of",
            hint="if it is your own class, define it in the pipeline file",
        )


def restore_distribution(kind: type) -> object:
    """Make a bare River distribution whose generator, unseeded before, starts from a fixed seed."""
    if not (isinstance(kind, type) and issubclass(kind, Distribution)):
        raise ForbiddenGlobalError(f"{kind!r} is not a distribution")
    bare = kind.__new__(kind)
    # The state that follows puts everything else in its place, the seed too.
    Distribution.__init__(bare, seed=0)
    return bare


def restore_method(owner: object, name: str) -> types.MethodType:
    """Bind a method again: a function in its owner's class (pickle itself would use ``getattr``)."""
    if not name.startswith("__"):
        for kind in type(owner).__mro__:
            function = vars(kind).get(name)
            if isinstance(function, types.FunctionType):
                return types.MethodType(function, owner)
    raise ForbiddenGlobalError(f"{type(owner).__qualname__}.{name} is not a method")


def _is_of_river(module: str) -> bool:
    if not module.startswith("river.") or not _MODULE.fullmatch(module):
        return False
    return not any(module == barred or module.startswith(barred + ".") for barred in _BARRED)


def _defined(module: str, name: str) -> object:
    """Return the class or function that ``module`` itself defines under ``name``, else None."""
    loaded = sys.modules.get(module)
    if loaded is None and (module in _OWN or module.startswith("river.")):
        try:
            loaded = importlib.import_module(module)
        except ImportError:
            return None
    if loaded is None:
        return None
    first, *inner = name.split(".")
    found: object = vars(loaded).get(first)
    for step in inner:
        found = vars(found).get(step) if isinstance(found, type) else None
    if "__" in name and any(step.startswith("__") for step in (first, *inner)):
        return None
    if isinstance(found, staticmethod):
        found = found.__func__
    if not isinstance(found, type | types.FunctionType | types.BuiltinFunctionType):
        return None
    if found.__module__ != module or found.__qualname__ != name:
        return None
    return found


_VALUES: Final = (bool, int, float, complex, str, bytes, bytearray, range, slice, object)
_CONTAINERS: Final = (list, tuple, dict, set, frozenset, OrderedDict, defaultdict, deque, Counter)
_TIMES: Final = (datetime, date, timedelta, timezone)
# `partial` calls what was loaded before, which is on this list too: no more than pickle itself can do.
_OTHERS: Final = (functools.partial, random.Random, np.ndarray, np.dtype)


def _exact() -> dict[tuple[str, str], object]:
    kinds: tuple[type, ...] = (*_VALUES, *_CONTAINERS, *_TIMES, *_OTHERS)
    pairs: dict[tuple[str, str], object] = {(kind.__module__, kind.__qualname__): kind for kind in kinds}
    pairs["copy", "deepcopy"] = copy.deepcopy
    for function in (restore_distribution, restore_method):
        pairs[function.__module__, function.__qualname__] = function
    for module, name in _NUMPY:
        pairs[module, name] = getattr(importlib.import_module(module), name)
    return pairs


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

_EXACT: Final = _exact()
