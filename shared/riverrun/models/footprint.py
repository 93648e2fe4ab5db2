"""What a model takes of memory, and whether it is sure to stop growing.

Its snapshot tells little of that: a forest of River's takes thirty-five times as much memory as its snapshot, a linear
model three times. So every object is counted that the model alone leads to.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from river import base, forest

from riverrun.errors import RiverrunError

__all__ = ["ModelMemoryError", "check_footprint", "check_growth", "footprint", "has_more_objects"]

_SHARED: Final = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, property)
"""What belongs to the program, not to a model that refers to it."""

_LEAVES: Final = frozenset({bool, bytes, complex, float, int, str, type(None)})

_MIB: Final = 1 << 20
_MONDRIAN: Final = (forest.AMFClassifier, forest.AMFRegressor)
_DEEPEST: Final = 32
"""A tree that may be deeper is not bounded by that. River puts a number near the depth of Python's stack for None."""


class ModelMemoryError(RiverrunError):
    """A pipeline's models take more memory than the process has for them, or would in time."""


def footprint(root: object) -> int:
    """Return the bytes that an object and all that it leads to take, each counted once.

    Parameters
    ----------
    root
        A model, or a list of models. Classes, functions and modules are not counted, nor what they lead to.

    Examples
    --------
    >>> footprint([1.5, "text"]) > footprint([1.5])
    True
    """
    return sum(map(sys.getsizeof, _reached(root)))


def has_more_objects(root: object, most: int) -> bool:
    """Tell whether an object leads to more than so many others; takes no longer than counting these.

    Parameters
    ----------
    root
        A model, or a list of models.
    most
        So many.

    Examples
    --------
    >>> has_more_objects([1.5, 2.5, 3.5], 3), has_more_objects([1.5, 2.5, 3.5], 4)
    (True, False)
    """
    return any(True for _ in islice(_reached(root), most, None))


def _reached(root: object) -> Iterator[object]:
    """Yield an object and all that it leads to, each once."""
    met = {id(root)}
    ahead: list[object] = [root]
    while ahead:
        value = ahead.pop()
        yield value
        for part in gc.get_referents(value):
            number = id(part)
            if number in met:
                continue
            if type(part) in _LEAVES:
                # Asked first: most parts of a large model lead nowhere, and to ask for the others takes twice as long.
                met.add(number)
                yield part
            elif not isinstance(part, _SHARED):
                met.add(number)
                ahead.append(part)


def check_footprint(models: Mapping[str, object], most: int) -> None:
    """Refuse models that have outgrown what all of them may take.

    Parameters
    ----------
    models
        The models by name.
    most
        What they may take together, in bytes.

    Raises
    ------
    ModelMemoryError
        Naming the largest.
    """
    sizes = {name: footprint(model) for name, model in models.items()}
    total = sum(sizes.values())
    if total > most:
        largest = max(sizes, key=lambda name: sizes[name])
        raise ModelMemoryError(
            f"the models have grown to {total / _MIB:.1f} MiB, of which {largest!r} takes {sizes[largest] / _MIB:.1f}; "
            f"together they may take {most / _MIB:.1f} MiB",
            hint=f"bound {largest!r} in the pipeline file (max_depth, n_models), or run with more memory",
        )


def check_growth(name: str, estimator: object, most: int) -> None:
    """Refuse a model with a part that grows for as long as it learns.

    That is a tree or a forest without ``max_depth``, unless River's own limit of its size is less than ``most``, and a
    Mondrian forest without ``max_nodes``. Others pass: what they take is looked at while they learn.

    Parameters
    ----------
    name
        The model's name, for the message.
    estimator
        The untrained model.
    most
        What all models may take, in bytes.

    Raises
    ------
    ModelMemoryError
        With what would bound it.

    Examples
    --------
    >>> from river import tree
    >>> check_growth("tree", tree.HoeffdingTreeClassifier(max_depth=8), most=50 << 20)
    >>> check_growth("tree", tree.HoeffdingTreeClassifier(), most=50 << 20)
    Traceback (most recent call last):
    riverrun.models.footprint.ModelMemoryError: model 'tree' may grow without bound: its Hoeffd...
    """
    for part in _parts(estimator):
        kind = type(part).__name__
        if isinstance(part, _MONDRIAN):
            missing = "" if getattr(part, "max_nodes", None) else "max_nodes"
        elif hasattr(part, "max_depth"):
            depth, trees, size = (getattr(part, each, None) for each in ("max_depth", "n_models", "max_size"))
            bounded = depth is not None and depth < _DEEPEST
            small = size is not None and size * (trees or 1) * _MIB <= most
            missing = "" if bounded or small else "max_depth"
        else:
            continue
        if missing:
            raise ModelMemoryError(
                f"model {name!r} may grow without bound: its {kind} has no {missing}, and all models together may take "
                f"{most / _MIB:.0f} MiB",
                hint=f"give it {missing} in the pipeline file, or run with more memory",
            )


def _parts(estimator: object) -> list[base.Estimator]:
    """Return the estimators that a model is made of, itself included."""
    return [value for value in _reached(estimator) if isinstance(value, base.Estimator)]
