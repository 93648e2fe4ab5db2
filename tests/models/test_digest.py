"""The digest tells states apart, and nothing else."""

from __future__ import annotations

import math
import os
import random
import struct
import subprocess
import sys
import time
from collections import Counter, OrderedDict, defaultdict, deque
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.models.digest import DigestError, digest
from riverrun.models.pickling import dump_state, load_state
from tests.models.zoo import ZOO, river, teach


class Colour(Enum):
    RED = 1
    GREEN = 2


class Node:
    def __init__(self, value: object = None) -> None:
        self.value = value
        self.next: object = None


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: object, b: object) -> None:
        self.a, self.b = a, b


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
hashable = st.recursive(leaves, lambda inner: st.tuples(inner, inner) | st.frozensets(leaves, max_size=3))
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.dictionaries(hashable, inner, max_size=12)
        | st.tuples(inner, inner)
        | st.lists(inner, max_size=3).map(lambda items: deque(items, maxlen=5))
        | st.sets(leaves, max_size=12)
        | st.lists(inner, max_size=2).map(Node)
    ),
    max_leaves=30,
)

MODULES = frozenset({__name__})


@pytest.mark.parametrize("name", ZOO)
def test_model_survives_a_snapshot(name: str) -> None:
    """A restored model has the original's digest, learning changes it, and both go on alike."""
    model, twin = ZOO[name](), ZOO[name]()
    untrained = digest(model)
    assert digest(twin) == untrained
    teach(model, 150)
    trained = digest(model)
    assert trained != untrained
    restored = load_state(dump_state(model))
    assert digest(restored) == trained
    for each in (model, restored):
        teach(each, 60, seed=5)
    assert digest(restored) == digest(model) != trained


@given(states)
def test_any_state_survives_a_snapshot(state: object) -> None:
    """A restored state has the digest of the original, whatever it is made of."""
    assert digest(load_state(dump_state(state), MODULES)) == digest(state)


@given(st.lists(leaves, max_size=20), st.lists(leaves, max_size=20))
def test_different_values_differ(one: list[object], other: list[object]) -> None:
    """Two lists have one digest exactly if their elements have the same types and bits."""
    same = [_bits(value) for value in one] == [_bits(value) for value in other]
    assert (digest(one) == digest(other)) == same
    assert (digest(dict(enumerate(one))) == digest(dict(enumerate(other)))) == same


def _bits(value: object) -> tuple[type, object]:
    return type(value), struct.pack("<d", value) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (1, 1.0),
        (1, True),
        ("1", b"1"),
        ((1, 2), [1, 2]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (["ab", "c"] * 5, ["a", "bc"] * 5),
        (["a\0b"] * 9, ["a", "b"] * 9),
        ([1] * 9, [1.0] * 9),
        (deque([1], maxlen=2), deque([1], maxlen=3)),
        (defaultdict(int), defaultdict(float)),
        (Counter("a"), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (Colour.RED, Colour.GREEN),
        (int, float),
        (np.float64(1), 1.0),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(2, np.float32), np.zeros(2)),
        (random.Random(1), random.Random(2)),
        (np.random.default_rng(1), np.random.default_rng(2)),
        (Slotted(1, 2), Slotted(2, 1)),
        (Node(Node()), Node()),
        (math.nan, math.inf),
    ],
)
def test_unlike_states_differ(one: object, other: object) -> None:
    """States that a model could tell apart have different digests."""
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: random.Random(3),
        lambda: np.random.default_rng(3),
        lambda: np.random.RandomState(3),
        lambda: np.arange(6).reshape(2, 3).T,
        lambda: np.array(["a", None, 1.5], dtype=object),
        lambda: math.nan,
        lambda: 2**70,
        lambda: Slotted(1.0, "x"),
        lambda: Colour.GREEN,
        lambda: {"b", "a", "c"},
        lambda: [river.stats.Mean, math.sqrt, teach],
    ],
)
def test_like_states_agree(make: Any) -> None:
    """Two states made alike have one digest."""
    assert digest(make()) == digest(make())


def test_identity_of_values_does_not_matter() -> None:
    """Equal text or constants that are one object here and two there make no difference."""
    text = "".join(["a", "b"])
    assert digest([text, text]) == digest([text, "".join(["a", "b"])])
    constant = (1, "x")
    assert digest([constant, constant]) == digest([constant, (1, "".join(["x"]))])


def test_sharing_and_cycles_matter() -> None:
    """One list met twice is not two equal lists; a cycle ends."""
    shared = [1]
    assert digest([shared, shared]) != digest([[1], [1]])
    loop, other = Node(), Node()
    loop.next, other.next = loop, other
    assert digest(loop) == digest(other)
    other.next = Node()
    assert digest(loop) != digest(other)


def test_long_chains_do_not_exhaust_the_stack() -> None:
    """A linked list far longer than Python's call stack has a digest."""
    head = node = Node()
    for value in range(20_000):
        node.next = node = Node(value)
    assert len(digest(head)) == 64


def test_unseeded_distribution_is_digested_without_its_generator() -> None:
    """Two unseeded distributions with the same observations agree; with seeds, the generator counts."""
    one, other = river.proba.Gaussian(), river.proba.Gaussian()
    one.update(1.0)
    other.update(1.0)
    assert digest(one) == digest(other)
    assert digest(river.proba.Gaussian(seed=1)) != digest(river.proba.Gaussian(seed=2))
    restored = load_state(dump_state(one))
    assert isinstance(restored, river.proba.Gaussian)
    assert restored.seed is None
    restored.sample()


def test_what_has_no_name_is_refused() -> None:
    """A lambda, a local class and a generator are refused with a word on what they are."""

    class Local:
        pass

    with pytest.raises(DigestError, match=r"<lambda>.*test_digest.py"):
        digest([lambda: 1])
    with pytest.raises(DigestError, match="Local"):
        digest(Local())
    with pytest.raises(DigestError, match="generator"):
        digest(i for i in range(3))
    with pytest.raises(DigestError, match="module"):
        digest([math])


def test_digest_is_the_same_in_another_process() -> None:
    """Neither the process nor its hash seed shows in the digest of a model that learned the same."""
    names = ["union", "mondrian", "selection", "fourier"]
    code = (
        "from tests.models.zoo import ZOO, teach\nfrom riverrun.models.digest import digest\n"
        f"for name in {names}:\n    model = ZOO[name]()\n    teach(model, 100)\n    print(digest(model))"
    )
    root = Path(__file__).parents[2]
    seed = str(1 + int(os.environ["PYTHONHASHSEED"])) if os.environ.get("PYTHONHASHSEED", "").isdigit() else "1"
    output = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root / 'shared'}{os.pathsep}{root}"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    here = []
    for name in names:
        model = ZOO[name]()
        teach(model, 100)
        here.append(digest(model))
    assert output.split() == here


def test_many_weights_take_little_time() -> None:
    """Twenty thousand weights are digested in far less than 30 ms, at least once in five tries."""
    weights = {f"feature-{index}": random.random() for index in range(20_000)}
    times = []
    for _ in range(5):
        start = time.perf_counter()
        digest(weights)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03
