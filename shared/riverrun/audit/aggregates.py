"""The aggregates, written once more: each a fold of values to a state that never changes, and a result.

`riverrun.pipeline.aggregates` says what they mean. States are plain immutable values, so that one may be kept while the
fold goes on; where the order of additions decides the last bit, it is that of the definition: values in the order of
the events within a pane, then the panes from the oldest to the newest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from datasketches import compact_theta_sketch, tdigest_double, theta_union, update_theta_sketch

from riverrun.pipeline.expressions import HALF_LIFE_MS, QUANTILE, Aggregate
from riverrun.records.items import FieldValue

__all__ = ["Arithmetic", "arithmetic_of"]

_LG_K: Final = 10
_COMPRESSION: Final = 400
_LOOSE: Final = 128


class Arithmetic(NamedTuple):
    """One aggregate's functions. The state of no values is None, which none of them is ever given.

    ``first`` makes a state of one value and its event time, ``update`` adds a value to a state, ``merge`` joins two
    states, the older on the left, ``result`` is the aggregate of a state, and ``nothing`` that of no values.
    """

    first: Callable[[Any, int], Any]
    update: Callable[[Any, Any, int], Any]
    merge: Callable[[Any, Any], Any]
    result: Callable[[Any], FieldValue]
    nothing: FieldValue = None


def arithmetic_of(aggregate: Aggregate) -> Arithmetic:
    """Return an aggregate's functions."""
    params = dict(aggregate.params)
    if aggregate.function == "decayed_mean":
        return _decayed_mean(1.0 / params[HALF_LIFE_MS])
    if aggregate.function == "quantile":
        return _quantile(params[QUANTILE])
    return _PLAIN[aggregate.function]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _welford(state: tuple[int, float, float], value: float, _time: int) -> tuple[int, float, float]:
    """Add one value to a count, a mean and a sum of squared deviations (Welford 1962)."""
    count, mean, squares = state[0] + 1, state[1], state[2]
    off = value - mean
    mean += off / count
    return count, mean, squares + off * (value - mean)


def _chan(a: tuple[int, float, float], b: tuple[int, float, float]) -> tuple[int, float, float]:
    """Join two of them (Chan, Golub and LeVeque 1982)."""
    count = a[0] + b[0]
    off, share = b[1] - a[1], b[0] / count
    return count, a[1] + off * share, a[2] + (b[2] + off * off * (a[0] * share))


def _decayed_mean(rate: float) -> Arithmetic:
    """Return the functions over a weight, a weighted sum, and the newest time, to which both are scaled."""

    def join(a: tuple[float, float, int], b: tuple[float, float, int]) -> tuple[float, float, int]:
        age = b[2] - a[2]
        scale = 2.0 ** (-abs(age) * rate)
        if age > 0:
            return a[0] * scale + b[0], a[1] * scale + b[1], b[2]
        return a[0] + scale * b[0], a[1] + scale * b[1], a[2]

    return Arithmetic(
        first=lambda value, time: (1.0, 0.0 + value, time),
        update=lambda state, value, time: join(state, (1.0, value, time)),
        merge=join,
        result=lambda state: state[1] / state[0] if math.isfinite(state[1]) else None,
    )


def _hash_of(value: FieldValue) -> compact_theta_sketch:
    """Return the sketch of one value; texts are marked, since the library skips empty ones."""
    sketch = update_theta_sketch(_LG_K)
    if isinstance(value, str | bytes):
        sketch.update("=" + (value if isinstance(value, str) else value.decode("latin-1")))
    elif value is not None:
        sketch.update(value)
    return _union(sketch.compact())


def _union(*sketches: compact_theta_sketch) -> compact_theta_sketch:
    union = theta_union(_LG_K)
    for sketch in sketches:
        union.update(sketch)
    return union.get_result()


_Sample = tuple[tuple[float, ...], tdigest_double | None]
"""Values not yet in a digest, and the digest of the others."""


def _settled(values: tuple[float, ...], digest: tdigest_double | None) -> _Sample:
    """Move the values into the digest when there are more than a digest is worth."""
    return (values, digest) if len(values) <= _LOOSE else ((), _digest(values, digest))


def _digest(values: tuple[float, ...], digest: tdigest_double | None) -> tdigest_double:
    whole = tdigest_double(_COMPRESSION) if digest is None else digest.__copy__()
    if values:
        whole.update(np.array(values, dtype=np.float64))
        whole.compress()
    return whole


def _join_samples(a: _Sample, b: _Sample) -> _Sample:
    if a[1] is None or b[1] is None:
        digest = b[1] if a[1] is None else a[1]
    else:
        digest = a[1].__copy__()
        digest.merge(b[1])
        digest.compress()
    return _settled(a[0] + b[0], digest)


def _quantile(q: float) -> Arithmetic:
    def first(value: float, _time: int) -> _Sample | None:
        return ((float(value),), None) if math.isfinite(value) else None

    def update(state: _Sample, value: float, _time: int) -> _Sample:
        return _settled((*state[0], float(value)), state[1]) if math.isfinite(value) else state

    def result(state: _Sample) -> FieldValue:
        if state[1] is not None:
            return _digest(*state).get_quantile(q)
        ordered = sorted(state[0])
        place = q * (len(ordered) - 1)
        below, rest = int(place), place - int(place)
        return ordered[below] if rest == 0.0 else ordered[below] * (1.0 - rest) + ordered[below + 1] * rest

    return Arithmetic(first, update, _join_samples, result)


_PLAIN: Final[dict[str, Arithmetic]] = {
    "count": Arithmetic(lambda _v, _t: 1, lambda n, _v, _t: n + 1, lambda a, b: a + b, lambda n: n, 0),
    "sum": Arithmetic(lambda v, _t: 0.0 + v, lambda s, v, _t: s + v, lambda a, b: a + b, _finite, 0.0),
    "mean": Arithmetic(
        first=lambda v, _t: (1, 0.0 + v),
        update=lambda s, v, _t: (s[0] + 1, s[1] + v),
        merge=lambda a, b: (a[0] + b[0], a[1] + b[1]),
        result=lambda s: s[1] / s[0] if math.isfinite(s[1]) else None,
    ),
    "variance": Arithmetic(
        first=lambda v, t: _welford((0, 0.0, 0.0), v, t),
        update=_welford,
        merge=_chan,
        result=lambda s: s[2] / s[0] if math.isfinite(s[2]) else None,
    ),
    "min": Arithmetic(lambda v, _t: v, lambda s, v, _t: min(s, v), min, lambda s: s),
    "max": Arithmetic(lambda v, _t: v, lambda s, v, _t: max(s, v), max, lambda s: s),
    "last": Arithmetic(
        first=lambda v, t: (t, v),
        update=lambda s, v, t: (t, v) if t >= s[0] else s,
        merge=lambda a, b: b if b[0] >= a[0] else a,
        result=lambda s: s[1],
    ),
    "distinct": Arithmetic(
        first=lambda v, _t: _hash_of(v),
        update=lambda s, v, _t: _union(s, _hash_of(v)),
        merge=_union,
        result=lambda s: round(s.get_estimate()),
        nothing=0,
    ),
}
