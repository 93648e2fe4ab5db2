"""A canonical digest of a model's state: equal for equal states, whatever bytes pickle makes of them.

Pickle's bytes depend on which strings happen to be one object and on how the memo was filled; two pickles of
one state hardly ever agree. The digest therefore walks the object graph itself, as pickle would
(``__reduce_ex__``), and writes one canonical encoding of it into SHA-256:

- numbers, text and bytes by value, floats by their bits (so -0.0 is not 0.0), and never by identity;
- tuples and frozen sets by value, so that a constant of the code and a restored copy of it are the same;
- lists, dicts, sets and objects by their first occurrence, later ones as references: sharing and cycles
  count;
- dicts in insertion order (models iterate over them), sets in the order of their elements' encodings,
  attributes in the order of their names;
- defaultdicts in the order of their keys and without the entries that are what a missing one would be: a model
  that is asked about a feature that it has not learned adds such entries, and has learned nothing by it;
- classes, functions and enum members by name; what has no importable name (a lambda) is refused;
- of ``river.proba`` distributions without a seed, not the generator: it was seeded by the operating system
  and takes no part in learning.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import struct
import sys
import types
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final, cast

import numpy as np
from river import compose
from river.proba.base import Distribution

from riverrun.errors import RiverrunError

__all__ = ["DigestError", "digest", "without_unseeded_generator"]

_FORMAT: Final = b"riverrun-digest-2;"
_CHUNK: Final = 4096
_HOMOGENEOUS: Final = 8
_GENERATOR: Final = "_rng"
_CACHES: Final = frozenset({"_plan"})
_FUNCTIONS: Final = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


class DigestError(RiverrunError):
    """A model holds something without a canonical form: neither digest nor snapshot can be made."""


def digest(model: object) -> str:
    """Return the SHA-256 of a model's state, in hexadecimal.

    Parameters
    ----------
    model
        Any object graph that pickle could walk: River's estimators, also those written in Rust or Cython,
        NumPy arrays and generators, and one's own classes.

    Raises
    ------
    DigestError
        If the graph holds a lambda, a local function or class, a module, or an object that does not reduce.

    Examples
    --------
    >>> from river import linear_model
    >>> model, other = linear_model.LogisticRegression(), linear_model.LogisticRegression()
    >>> digest(model) == digest(other)
    True
    >>> model.learn_one({"x": 1.0}, True)
    >>> digest(model) == digest(other)
    False
    """
    return _Walk(_FORMAT).run(model).hex()


def _without_caches(instance: object, state: object) -> object:
    """Return the ``state`` of an object, less what a River pipeline has noted to be quicker when it is asked again."""
    if isinstance(instance, compose.Pipeline) and isinstance(state, dict):
        return {name: value for name, value in state.items() if name not in _CACHES}
    return state


def without_unseeded_generator(instance: object, state: object) -> object:
    """Return the ``state`` of an object as pickle sees it, less an unseeded distribution's generator."""
    if isinstance(state, dict) and _GENERATOR in state and isinstance(instance, Distribution):
        attributes = cast("dict[str, object]", state)
        if attributes.get("seed") is None:
            return {name: value for name, value in attributes.items() if name != _GENERATOR}
    return state


class _Walk:
    """One pass over one graph: the encoding so far, what is still to be visited, and what has been met.

    An explicit stack, as a chain of nodes (a tree's, a graph's) may be longer than Python's call stack.
    """

    __slots__ = ("_alive", "_hash", "_numbers", "_out", "_stack")

    def __init__(self, prefix: bytes = b"") -> None:
        self._hash = hashlib.sha256(prefix)
        self._out: list[bytes] = []
        self._stack: list[object] = []
        self._numbers: dict[int, int] = {}
        # Temporaries that __reduce_ex__ makes must outlive the walk, or another object could get their id.
        self._alive: list[object] = []

    def run(self, root: object) -> bytes:
        """Encode everything reachable from ``root``; return the hash."""
        out, stack, leaves = self._out, self._stack, _LEAVES
        stack.append(root)
        while stack:
            value = stack.pop()
            leaf = leaves.get(type(value))
            if leaf is not None:
                out.append(leaf(value))
            else:
                self._visit(value)
            if len(out) > _CHUNK:
                self._hash.update(b"".join(out))
                out.clear()
        self._hash.update(b"".join(out))
        return self._hash.digest()

    def _visit(self, value: object) -> None:
        kind = type(value)
        if kind is tuple:
            self._sequence(b"(", cast("tuple[object, ...]", value))
        elif isinstance(value, type):
            self._out.append(b"c" + _name_of(value))
        elif kind is frozenset:
            self._set(cast("frozenset[object]", value))
        elif isinstance(value, Enum):
            self._out.append(b"e" + _name_of(kind) + _text(value.name))
        elif isinstance(value, np.generic):
            self._array(np.asarray(value), b"g")
        elif isinstance(value, _FUNCTIONS):
            self._function(value)
        else:
            number = self._numbers.setdefault(id(value), len(self._alive))
            if number < len(self._alive):
                self._out.append(b"r%d;" % number)
            else:
                self._alive.append(value)
                self._mutable(kind, value)

    def _mutable(self, kind: type, value: object) -> None:
        if kind is dict:
            self._dict(cast("dict[object, object]", value))
        elif kind is list:
            self._sequence(b"[", cast("list[object]", value))
        elif kind is defaultdict:
            default = cast("defaultdict[object, object]", value)
            self._out.append(b"D")
            self._dict(_settled(default))
            self._stack.append(default.default_factory)
        elif kind is deque:
            queue = cast("deque[object]", value)
            self._out.append(b"Q%d;" % (-1 if queue.maxlen is None else queue.maxlen))
            self._sequence(b"[", list(queue))
        elif kind is set:
            self._set(cast("set[object]", value))
        elif kind is bytearray:
            self._out.append(b"B" + _bytes(bytes(cast("bytearray", value))))
        elif kind is np.ndarray:
            self._array(cast("Array", value), b"a")
        else:
            self._object(kind, value)

    def _sequence(self, tag: bytes, items: Sequence[object]) -> None:
        packed = _packed(items)
        if packed is None:
            self._out.append(tag + b"%d;" % len(items))
            self._stack.extend(reversed(items))
        else:
            self._out.append(tag + packed)

    def _dict(self, items: dict[object, object]) -> None:
        """Write keys and values each in one piece if they can be (a model's weights), else item by item."""
        keys = _packed(list(items))
        values = _packed(list(items.values())) if keys is not None else None
        if keys is not None and values is not None:
            self._out.append(b"{" + keys + values)
            return
        self._out.append(b"{%d;" % len(items))
        self._stack.extend(reversed([part for pair in items.items() for part in pair]))

    def _set(self, items: set[object] | frozenset[object]) -> None:
        # An element is encoded by a walk of its own: references out of a set of objects are not followed.
        encodings = sorted(map(_encoding, items))
        self._out.append(b"s%d;" % len(items) + b"".join(encodings))

    def _array(self, value: Array, tag: bytes) -> None:
        shape = b"".join(b"%d;" % length for length in value.shape)
        head = tag + _text(value.dtype.str) + b"%d;" % value.ndim + shape
        if value.dtype.hasobject:
            self._out.append(head)
            self._stack.extend(reversed(cast("list[object]", value.ravel().tolist())))
        else:
            self._out.append(head + _bytes(value.tobytes()))

    def _function(self, value: types.FunctionType | types.BuiltinFunctionType | types.MethodType) -> None:
        owner: object = getattr(value, "__self__", None)
        if owner is None or isinstance(owner, types.ModuleType):
            self._out.append(b"f" + _name_of(value))
        else:
            self._out.append(b"m" + _text(value.__name__))
            self._stack.append(owner)

    def _object(self, kind: type, value: object) -> None:
        reduced = _reduce(kind, value)
        if isinstance(reduced, str):
            self._out.append(b"n" + _text(f"{kind.__module__}:{reduced}"))
            return
        build, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        plain = build is _NEW
        listed = () if items is None else tuple(cast("Iterable[object]", items))
        mapped = (
            ()
            if pairs is None
            else tuple(part for pair in cast("Iterable[tuple[object, object]]", pairs) for part in pair)
        )
        attributes = _attributes(_without_caches(value, without_unseeded_generator(value, state)))
        if plain and len(cast("tuple[object, ...]", arguments)) == 1 and not (attributes or listed or mapped):
            # It has no state: one instance is as good as another, hence no reference to it either.
            self._numbers.pop(id(value))
        head = b"o" if plain else b"O"
        self._out.append(head + b"%d;%d;%d;" % (len(attributes), len(listed), len(mapped)))
        for parts in (mapped, listed, attributes):
            self._stack.extend(reversed(parts))
        self._stack.append(arguments)
        if not plain:
            self._stack.append(build)


def _settled(items: defaultdict[object, object]) -> dict[object, object]:
    """Return what was put into a defaultdict, in the order of its keys."""
    blank = _blank(items.default_factory)
    if blank is None:
        kept = dict(items)
    else:
        kind, encoding = blank
        # Looked up once: weights are many.
        encode = _LEAVES.get(kind, _encoding)
        kept = {key: value for key, value in items.items() if type(value) is not kind or encode(value) != encoding}
    kinds = set(map(type, kept))
    if kinds <= {str} or kinds <= {int}:
        return {key: kept[key] for key in sorted(cast("dict[str, object]", kept))}
    return dict(sorted(kept.items(), key=lambda item: _encoding(item[0])))


def _blank(factory: Callable[[], object] | None) -> tuple[type, bytes] | None:
    """Return the type and the encoding of what a factory makes; None if to call it might change something."""
    maker = factory.func if isinstance(factory, functools.partial) else factory
    if not isinstance(maker, type) or factory is None:
        return None
    try:
        value = factory()
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    return type(value), _encoding(value)


def _encoding(value: object) -> bytes:
    leaf = _LEAVES.get(type(value))
    return leaf(value) if leaf is not None else _Walk().run(value)


def _attributes(state: object) -> tuple[object, ...]:
    """Flatten an object's attributes, by name, in slots or in a dict; any other state is one part."""
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        named, slots = state
        if named is None or isinstance(named, dict):
            state = {**(named or {}), **slots}
    if state is None:
        return ()
    if isinstance(state, dict) and all(type(name) is str for name in state):
        return tuple(part for name in sorted(state) for part in (name, state[name]))
    return (state,)


def _reduce(kind: type, value: object) -> str | tuple[object, ...]:
    """Take an object apart as pickle's protocol 4 does."""
    reducer = copyreg.dispatch_table.get(kind)
    try:
        return cast("str | tuple[object, ...]", reducer(value) if reducer else value.__reduce_ex__(4))
    except (TypeError, AttributeError, NotImplementedError) as error:
        raise DigestError(
            f"the model holds a {kind.__module__}.{kind.__qualname__}, whose state cannot be taken: {error}",
            hint="leave files, locks, generators and connections out of models",
        ) from error


def _name_of(value: type | types.FunctionType | types.BuiltinFunctionType | types.MethodType) -> bytes:
    known = _NAMES.get(value)
    if known is not None:
        return known
    module, name = value.__module__, value.__qualname__
    if "<" in name:
        code = getattr(value, "__code__", None)
        where = f" at {code.co_filename}:{code.co_firstlineno}" if code is not None else ""
        raise DigestError(
            f"the model holds {module}.{name}{where}, which cannot be found again by its name",
            hint="define it with def or class at the top level of the pipeline file",
        )
    encoded = _text(f"{module}:{name}")
    if isinstance(value, type) and len(_NAMES) < _MOST_NAMES:
        _NAMES[value] = encoded
    return encoded


def _packed(items: Sequence[object]) -> bytes | None:
    """Encode many numbers, or many texts, at once; None if they are few, mixed or of another type."""
    if len(items) < _HOMOGENEOUS:
        return None
    kinds = set(map(type, items))
    if len(kinds) > 1:
        return None
    kind = kinds.pop()
    if kind is float:
        return b"d%d;" % len(items) + _machine(array("d", cast("Sequence[float]", items)))
    if kind is int:
        try:
            return b"q%d;" % len(items) + _machine(array("q", cast("Sequence[int]", items)))
        except OverflowError:
            return None
    if kind is str:
        joined = "\0".join(cast("Sequence[str]", items))
        if joined.count("\0") == len(items) - 1:
            return b"t%d;" % len(items) + _text(joined)
    return None


def _machine(numbers: array[float] | array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _text(value: str) -> bytes:
    return _bytes(value.encode("utf-8", "surrogatepass"))


def _bytes(value: bytes) -> bytes:
    return b"%d:" % len(value) + value


_NEW: Final = object().__reduce_ex__(4)[0]
"""``copyreg.__newobj__``: how pickle builds an object that has no way of its own."""

_FLOAT = struct.Struct("<cd").pack
_COMPLEX = struct.Struct("<cdd").pack


def _leaves() -> dict[type, Callable[[object], bytes]]:
    table: dict[type, Callable[..., bytes]] = {
        float: lambda value: _FLOAT(b"d", value),
        int: lambda value: b"i%d;" % value,
        bool: lambda value: b"T" if value else b"F",
        str: lambda value: b"t" + _text(value),
        bytes: lambda value: b"b" + _bytes(value),
        complex: lambda value: _COMPLEX(b"z", value.real, value.imag),
        type(None): lambda _: b"N",
        type(...): lambda _: b"E",
        type(NotImplemented): lambda _: b"U",
    }
    return table


_LEAVES: Final = _leaves()
_NAMES: Final[dict[object, bytes]] = {}
_MOST_NAMES: Final = 10_000
