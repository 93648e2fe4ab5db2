"""Ways to spoil bytes, by a seeded chance: the same seed spoils in the same way."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

__all__ = ["Mutation", "Spoiled", "spoil"]

Mutation = Callable[[random.Random, bytes], bytes]

_FRAME: Final = 5
_MOST: Final = 800_000
"""A broker takes about 1 MB with key and headers: nobody can send more."""
_HUGE: Final = (300_000, 700_000, 900_000)
_DEPTHS: Final = (40, 2_000, 60_000)

_LENGTHS: Final = (
    b"\xff" * 9 + b"\x01",
    b"\xfe\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x40",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x01",
    b"\x00" * 64,
)
"""Avro lengths that are huge, negative, overlong or none."""

_NUMBERS: Final = ("1e400", "-0", "1" * 5_000, "1e-400", "0x10", "NaN", "Infinity", "9" * 20, "-1", "1.5e3", "01")
_NOT_UTF8: Final = (b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80", b"\x80", b"\xe2\x82")
_TEXTS: Final = (
    "\x00",
    "\ud800",
    "\u202e",
    "\x1b[2J",
    "'; DROP TABLE",
    "{{7*7}}",
    "%n%s",
    "../../etc/passwd",
    "\U0010ffff",
)
_ODD_VALUES: Final[tuple[object, ...]] = (
    None,
    True,
    -1,
    2**63,
    2**64,
    -(2**63) - 1,
    1e308,
    [],
    {},
    [[]],
    "",
    {"$ref": "#"},
)


class Spoiled(NamedTuple):
    """Spoiled bytes, and how they were spoiled."""

    value: bytes
    how: str


def spoil(chance: random.Random, samples: Sequence[bytes]) -> Spoiled:
    """Return one of the samples, spoiled once or several times.

    Parameters
    ----------
    chance
        Decides everything.
    samples
        Good messages.
    """
    value, names = chance.choice(samples), []
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        name = chance.choice(tuple(_MUTATIONS))
        value = _MUTATIONS[name](chance, value or b"\x00")
        names.append(name)
    return Spoiled(value[:_MOST], "+".join(names))


def _flip(chance: random.Random, value: bytes) -> bytes:
    spoiled = bytearray(value)
    for _ in range(chance.choice((1, 1, 1, 8))):
        spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def _cut(chance: random.Random, value: bytes) -> bytes:
    return value[: chance.randrange(len(value))]


def _extend(chance: random.Random, value: bytes) -> bytes:
    return value + chance.randbytes(chance.randrange(1, 40))


def _length_bomb(chance: random.Random, value: bytes) -> bytes:
    at = chance.randrange(len(value))
    return value[:at] + chance.choice(_LENGTHS) + value[at + chance.randrange(8) :]


def _wrong_id(chance: random.Random, value: bytes) -> bytes:
    number = chance.choice((0, 1, 2**31, 2**32 - 1, chance.randrange(2**32)))
    return bytes([chance.choice((0, 0, 0, 1, 255))]) + number.to_bytes(4, "big") + value[_FRAME:]


def _huge_text(chance: random.Random, value: bytes) -> bytes:
    size = chance.choice(_HUGE)
    document = _document(value)
    if document:
        document[chance.choice(sorted(document))] = chance.choice("aé\U0001f600") * (size // 4)
        return _dumped(document)
    length = size << 1
    number = bytearray()
    while length > 0x7F:
        number.append(length & 0x7F | 0x80)
        length >>= 7
    return value[:_FRAME] + bytes(number) + bytes([length]) + b"a" * size


def _deep(chance: random.Random, value: bytes) -> bytes:
    depth = chance.choice(_DEPTHS)
    opened, closed = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    nested = opened * depth + b"1" + (closed * depth if chance.random() < 0.5 else b"")
    document = _document(value)
    if document and chance.random() < 0.5:
        name = chance.choice(sorted(document))
        return _dumped(document | {name: "@"}).replace(b'"@"', nested, 1)
    return nested


def _not_utf8(chance: random.Random, value: bytes) -> bytes:
    at = chance.randrange(len(value))
    return value[:at] + chance.choice(_NOT_UTF8) + value[at:]


def _odd_value(chance: random.Random, value: bytes) -> bytes:
    document = _document(value)
    if not document:
        return _flip(chance, value)
    name = chance.choice(sorted(document))
    kind = chance.randrange(4)
    if kind == 0:
        return _dumped(document | {name: "@"}).replace(b'"@"', chance.choice(_NUMBERS).encode(), 1)
    if kind == 1:
        return _dumped(document | {name: chance.choice(_TEXTS)})
    if kind == 2:
        return _dumped(document | {name: chance.choice(_ODD_VALUES)})
    del document[name]
    return _dumped(document)


def _odd_shape(chance: random.Random, value: bytes) -> bytes:
    del value
    return chance.choice(
        (b"", b"\x00", b"\x00\x00\x00", b"null", b"[]", b"{}", b'""', b"1", b" ", b"{", b'{"a":1,"a":2}')
    )


def _noise(chance: random.Random, value: bytes) -> bytes:
    return value[: chance.choice((0, _FRAME))] + chance.randbytes(chance.randrange(200))


_MUTATIONS: Final[dict[str, Mutation]] = {
    "flip": _flip,
    "cut": _cut,
    "extend": _extend,
    "length bomb": _length_bomb,
    "wrong id": _wrong_id,
    "huge text": _huge_text,
    "deep": _deep,
    "not utf-8": _not_utf8,
    "odd value": _odd_value,
    "odd shape": _odd_shape,
    "noise": _noise,
}


def _document(value: bytes) -> dict[str, object]:
    """Return a JSON object as long as it still is one, else an empty one."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _dumped(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")
