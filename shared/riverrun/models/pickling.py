"""Pickle for models, with an unpickler that knows by exact name what it may load.

A prefix such as ``river.`` is not a boundary: a module inside it imports ``os``, and a dotted name walks
there. Here a pair of module and name is loaded if it is on the list (`riverrun.models.names`), and a name with a dot
never is. A class or a function inside a class is therefore pickled as what it is: a member of its owner.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable, Collection
from typing import Final, cast

from river.proba.base import Distribution

from riverrun.models.digest import DigestError, without_unseeded_generator
from riverrun.models.names import named

__all__ = ["ForbiddenGlobalError", "dump_state", "load_state"]

_PROTOCOL: Final = 5


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
        return _Unpickler(io.BytesIO(payload), frozenset(modules)).load()
    except (ForbiddenGlobalError, MemoryError):
        raise
    except Exception as error:
        raise DigestError(f"the model's state cannot be read: {type(error).__name__}: {error}") from error


_Reduced = tuple[Callable[..., object], tuple[object, ...]] | tuple[Callable[..., object], tuple[object, ...], object]

_NAMED: Final = (type, types.FunctionType)
"""What pickle writes as a name."""

_USUAL_WAY: Final = cast("_Reduced", NotImplemented)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: object) -> _Reduced:
        if isinstance(obj, types.MethodType):
            return (restore_method, (obj.__self__, obj.__name__))
        if isinstance(obj, _NAMED):
            owner = _owner_of(obj)
            return _USUAL_WAY if owner is None else (restore_member, (owner, obj.__name__))
        # Not isinstance: an abstract class asks its caches and its subclasses, for each of a million objects; and in a
        # copy of a process with threads Python 3.11.2 has been seen to crash at that.
        if Distribution in type(obj).__mro__ and type(obj).__reduce__ is object.__reduce__:
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
        found = named(module, name, self._modules)
        if found is not None:
            return found
        raise ForbiddenGlobalError(
            f"a model's pickle names {module}.{name}, which is not on the list of what models are made of",
            hint="if it is your own class, define it in the pipeline file",
        )


def restore_distribution(kind: type) -> object:
    """Make a bare River distribution that was unseeded: snapshots of before the sharing of generators name it so."""
    if not (isinstance(kind, type) and issubclass(kind, Distribution)):
        raise ForbiddenGlobalError(f"{kind!r} is not a distribution")
    # The state that follows puts everything in its place.
    return kind.__new__(kind)


def restore_method(owner: object, name: str) -> types.MethodType:
    """Bind a method again: a function in its owner's class (pickle itself would use ``getattr``)."""
    if not name.startswith("__"):
        for kind in type(owner).__mro__:
            function = vars(kind).get(name)
            if isinstance(function, types.FunctionType):
                return types.MethodType(function, owner)
    raise ForbiddenGlobalError(f"{type(owner).__qualname__}.{name} is not a method")


def restore_member(owner: type, name: str) -> object:
    """Return a class or a static function that a loaded class itself defines (pickle would give a dotted name)."""
    if isinstance(owner, type) and not name.startswith("__"):
        member = vars(owner).get(name)
        # No method: called with whatever stands in for its object, it would do what its class never does.
        function = member.__func__ if isinstance(member, staticmethod) else None
        found = member if isinstance(member, type) else function
        place = owner.__module__, f"{owner.__qualname__}.{name}"
        if isinstance(found, _NAMED) and (found.__module__, found.__qualname__) == place:
            return found
    raise ForbiddenGlobalError(f"{owner!r} defines no class or static function {name!r}")


def _owner_of(member: type | types.FunctionType) -> type | None:
    """Return the class inside which a class or function is defined; None if it stands in a module by itself."""
    first, *inner = member.__qualname__.split(".")[:-1] or [""]
    owner: object = vars(sys.modules.get(member.__module__, types)).get(first)
    for step in inner:
        owner = vars(owner).get(step) if isinstance(owner, type) else None
    return owner if isinstance(owner, type) else None
