"""A transformer that lets a linear model see bends and interactions: bins, categories and their crosses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import isfinite, isnan
from typing import Any
from zlib import crc32

from river import base
from river.base.typing import FeatureName

from riverrun.errors import RiverrunError

_MISSING = "-"


class BinnedCrossesError(RiverrunError):
    """The definition of a `BinnedCrosses`, or a value given to it, cannot be worked with."""


class BinnedCrosses(base.Transformer):
    """Turn features into tokens, one for each term: of one feature, or of several features crossed.

    A numeric feature is cut into bins at given edges; every other feature is a category. A term names one
    feature, or several whose values are to be seen together. The output has one token a term, each with value
    1.0. A linear model on top learns one weight a token: a step function of each feature, and of each
    combination asked for.

    A value that is missing (None, NaN, or not there) is a bin, or category, of its own: no imputation is
    needed, and that something is unknown can itself tell.

    Nothing is learnt: the same input gives the same tokens, in the same order, for ever.

    Parameters
    ----------
    edges
        For each numeric feature the inner edges of its bins, strictly increasing, in the feature's unit.
        ``k`` edges make ``k + 1`` bins; a value equal to an edge falls into the bin above it.
    terms
        The terms, each a feature's name or a tuple of them. Features without edges are categories. A model's
        memory grows with the number of different tokens seen: the product of the numbers of values in each
        term.
    buckets
        If given, tokens are hashed (CRC-32) to this many integers, which bounds the model's memory whatever
        values arrive. Tokens that fall into one bucket add up. Default: tokens are kept as readable text.

    Raises
    ------
    BinnedCrossesError
        If the edges of a feature do not increase or are not finite, if a term is empty or there twice, if a
        feature has edges but is in no term, or, in `transform_one`, if a feature with edges is not a number.

    References
    ----------
    Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009, for ``buckets``.

    Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016, for crosses in a linear model.

    Examples
    --------
    >>> tokens = BinnedCrosses(
    ...     edges={"delay": (0.0, 15.0)}, terms=["delay", "origin", ("origin", "delay")]
    ... )
    >>> tokens.transform_one({"delay": 7.5, "origin": "EWR"})
    {'delay=1': 1.0, "origin='EWR'": 1.0, "origin*delay='EWR'|1": 1.0}
    >>> tokens.transform_one({"delay": None, "origin": "EWR"})
    {'delay=-': 1.0, "origin='EWR'": 1.0, "origin*delay='EWR'|-": 1.0}

    It goes in front of a linear model:

    >>> from river import linear_model, optim
    >>> model = tokens | linear_model.LogisticRegression(optim.FTRLProximal(alpha=0.1, l2=0.0))
    >>> for _ in range(5):
    ...     model.learn_one({"delay": 40.0, "origin": "EWR"}, True)
    ...     model.learn_one({"delay": -5.0, "origin": "EWR"}, False)
    >>> model.predict_one({"delay": 25.0, "origin": "EWR"})
    True
    """

    def __init__(
        self,
        edges: Mapping[str, Sequence[float]],
        terms: Sequence[str | tuple[str, ...]],
        buckets: int | None = None,
    ) -> None:
        self.edges = edges
        self.terms = terms
        self.buckets = buckets

        named = [(term,) if isinstance(term, str) else tuple(term) for term in terms]
        _check(edges, named, buckets)
        # A feature's position in the list of labels that transform_one makes: binned features come first.
        names = dict.fromkeys(name for term in named for name in term)
        self._binned = tuple(
            (n, tuple(edges[n]), tuple(map(str, range(len(edges[n]) + 1)))) for n in names if n in edges
        )
        self._categories = tuple(n for n in names if n not in edges)
        slots = {n: i for i, n in enumerate([n for n, _, _ in self._binned] + list(self._categories))}
        self._singles: list[tuple[str, int]] = []
        self._pairs: list[tuple[str, int, int]] = []
        self._longer: list[tuple[str, tuple[int, ...]]] = []
        for term in named:
            prefix = "*".join(term) + "="
            match tuple(slots[name] for name in term):
                case (i,):
                    self._singles.append((prefix, i))
                case (i, j):
                    self._pairs.append((prefix, i, j))
                case longer:
                    self._longer.append((prefix, longer))

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        """Give River's estimator checks something to build the transformer with."""
        yield {"edges": {"x": (0.0, 1.0)}, "terms": ["x", "y", ("x", "y")]}

    def transform_one(self, x: dict[FeatureName, Any]) -> dict[FeatureName, Any]:
        """Give the tokens of one set of features.

        Parameters
        ----------
        x
            Feature values by name: numbers or None for features with edges, else anything with a stable
            ``repr``, such as text, integers, booleans and None.

        Returns
        -------
        dict
            For each term its token, with the value 1; if hashed, for each bucket its number of tokens.

        Raises
        ------
        BinnedCrossesError
            If the value of a feature with edges is not a number.
        """
        labels = self._labels(x)
        tokens: dict[FeatureName, Any] = {}
        for prefix, i in self._singles:
            tokens[prefix + labels[i]] = 1.0
        for prefix, i, j in self._pairs:
            tokens[f"{prefix}{labels[i]}|{labels[j]}"] = 1.0
        for prefix, slots in self._longer:
            tokens[prefix + "|".join([labels[i] for i in slots])] = 1.0
        return tokens if self.buckets is None else _hashed(tokens, self.buckets)

    def _labels(self, x: dict[FeatureName, Any]) -> list[str]:
        """Name the bin or category of every feature that a term needs."""
        get = x.get
        labels = []
        for name, edges, bins in self._binned:
            value = get(name)
            try:
                labels.append(_MISSING if value is None or isnan(value) else bins[bisect_right(edges, value)])
            except TypeError:
                raise BinnedCrossesError(
                    f"feature {name!r} has bin edges, so it must be a number or None, but it is {value!r}",
                    hint="take it out of 'edges' to treat it as a category",
                ) from None
        # repr delimits itself, so that no two combinations of values can make the same token.
        labels.extend([repr(get(name)) for name in self._categories])
        return labels


def _hashed(tokens: dict[FeatureName, Any], buckets: int) -> dict[FeatureName, Any]:
    """Replace every token by its bucket; built-in ``hash`` would differ from process to process."""
    hashed: dict[FeatureName, Any] = {}
    for token in tokens:
        bucket = crc32(str(token).encode()) % buckets
        hashed[bucket] = hashed.get(bucket, 0.0) + 1.0
    return hashed


def _check(edges: Mapping[str, Sequence[float]], terms: Sequence[tuple[str, ...]], buckets: int | None) -> None:
    """Refuse a definition that could not mean what its author wanted."""
    for name, values in edges.items():
        rising = all(low < high for low, high in pairwise(values))
        if not values or not rising or not all(map(isfinite, values)):
            raise BinnedCrossesError(f"edges of {name!r} must be finite and strictly increasing, not {values!r}")
    for term in terms:
        if not term or len(set(term)) != len(term):
            raise BinnedCrossesError(f"a term must name at least one feature, and each once, not {term!r}")
    repeated = {term for term in terms if terms.count(term) > 1}
    if repeated:
        raise BinnedCrossesError(f"these terms are there twice: {sorted(repeated)}")
    unused = set(edges) - {name for term in terms for name in term}
    if unused:
        raise BinnedCrossesError(f"these features have edges, but no term uses them: {sorted(unused)}")
    if buckets is not None and buckets < 1:
        raise BinnedCrossesError(f"'buckets' must be at least 1, not {buckets}")
