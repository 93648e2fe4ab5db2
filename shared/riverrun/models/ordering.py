"""Gives models whose results hang on the order of a set an order that lasts.

``compose.Select`` keeps its keys in a set and builds each dict in that set's order, in which a linear model
then sums. The order of a set of texts changes from process to process with the hash seed, and, within one
process, often changes when the set is pickled and restored: the sums differ in their last bit, and from there
on the models differ. Sorted keys make it the same everywhere. River's own result for such a pipeline is not
defined to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable

from river import compose
from river.base.typing import FeatureName

__all__ = ["OrderedSelect", "in_fixed_order"]


class OrderedSelect(compose.Select):
    """River's ``Select``, with its keys in sorted order.

    Examples
    --------
    >>> OrderedSelect("b", "a").transform_one({"a": 1, "b": 2, "c": 3})
    {'a': 1, 'b': 2}
    """

    def __init__(self, *keys: FeatureName) -> None:
        super().__init__(*keys)
        _sort(self, keys)


def in_fixed_order(estimator: object) -> None:
    """Sort the keys of every ``Select`` in a model, in place, at any depth; clones made later keep the order.

    Examples
    --------
    >>> from river import linear_model
    >>> model = compose.Select("b", "a") | linear_model.LinearRegression()
    >>> in_fixed_order(model)
    >>> list(model["Select"].keys)
    ['a', 'b']
    """
    seen: set[int] = set()
    stack: list[object] = [estimator]
    while stack:
        found = stack.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, dict):
            stack.extend(found.values())
        elif isinstance(found, list | tuple):
            stack.extend(found)
        elif not isinstance(found, type) and hasattr(found, "__dict__"):
            if type(found) is compose.Select:
                found.__class__ = OrderedSelect
                _sort(found, found.keys)
            stack.extend(vars(found).values())


def _sort(select: compose.Select, keys: Iterable[FeatureName]) -> None:
    # A dict is a set that keeps its order; River only iterates over the keys and looks them up.
    vars(select)["keys"] = dict.fromkeys(sorted(keys, key=repr))
