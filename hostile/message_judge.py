"""Tells whether a message is one that its stream's schema allows, by a plain reading of the schema and of Avro's rules.

It reads bytes by code of its own. What it calls readable may be refused all the same, for a rule or for the key's
partition; what it does not must be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from hostile.strict_json import NotJsonError, strict_json
from riverrun.records.definition import StreamSchema

__all__ = ["MessageJudge"]

_FRAME: Final = 5
_LONGEST: Final = 256 * 1024
_LONGEST_TEXT: Final = 16 * 1024
"""The defaults of ``RIVERRUN_MAX_MESSAGE_BYTES`` and ``RIVERRUN_MAX_TEXT``."""
_LAST_TIME: Final = 253_402_300_799_999
_INT64: Final = 2**63


class _MalformedError(ValueError):
    """A message is not readable."""


class MessageJudge:
    """Judges the messages of one stream.

    Parameters
    ----------
    stream
        The stream; its fields are texts, whole numbers and others, and those or null.
    schema_id
        The number in the frame of its messages.
    """

    def __init__(self, stream: StreamSchema, schema_id: int) -> None:
        fields = cast("Sequence[Mapping[str, Any]]", stream.schema["fields"])
        self._types = {str(field["name"]): _types(field["type"]) for field in fields}
        self._optional = {str(field["name"]) for field in fields if "default" in field}
        self._named = (stream.id, stream.key)
        self._time = stream.time
        self._frame = b"\x00" + schema_id.to_bytes(4, "big")

    def is_readable(self, value: bytes | None) -> bool:
        """Tell whether a message holds an event of the stream."""
        if not value or len(value) > _LONGEST:
            return False
        try:
            self._check(self._of_avro(value) if value[0] == 0 else self._of_json(value))
        except (_MalformedError, NotJsonError):
            return False
        return True

    def _of_json(self, value: bytes) -> dict[str, object]:
        event = strict_json(value)
        if not isinstance(event, dict):
            raise _MalformedError("no object")
        return {**dict.fromkeys(self._optional), **event}

    def _of_avro(self, value: bytes) -> dict[str, object]:
        if value[:_FRAME] != self._frame:
            raise _MalformedError("another schema")
        cursor = _Cursor(value[_FRAME:])
        event: dict[str, object] = {}
        for name, types in self._types.items():
            branch = cursor.number() if len(types) > 1 else 0
            if not 0 <= branch < len(types):
                raise _MalformedError("no branch of the union")
            event[name] = cursor.value(types[branch])
        if cursor.rest:
            raise _MalformedError("more than a record")
        return event

    def _check(self, event: Mapping[str, object]) -> None:
        for name, types in self._types.items():
            if name not in event or not any(_fits(event[name], kind) for kind in types):
                raise _MalformedError(name)
        if not all(event[name] for name in self._named):
            raise _MalformedError("no id, or no key")
        time = event[self._time]
        if not isinstance(time, int | float) or not 0 <= time <= _LAST_TIME:
            raise _MalformedError("no time")


class _Cursor:
    """Reads Avro's binary encoding."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def value(self, kind: str) -> object:
        """Take a value of a type."""
        if kind == "null":
            return None
        if kind == "long":
            return self.number()
        # A double of any bits is one; what it is worth does not matter here.
        data = self._take(8 if kind == "double" else self.number())
        return 0.0 if kind == "double" else _text(data)

    def number(self) -> int:
        """Take a whole number."""
        found = 0
        for shift, byte in zip(range(0, 70, 7), self.rest, strict=False):
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.rest = self.rest[shift // 7 + 1 :]
                if found >= 2 * _INT64:
                    break
                return found >> 1 ^ -(found & 1)
        raise _MalformedError("no number")

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.rest):
            raise _MalformedError("cut short")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _MalformedError("no UTF-8") from None


def _types(node: Any) -> tuple[str, ...]:
    """Return the names of a field's types."""

    def names() -> Iterator[str]:
        for branch in node if isinstance(node, list) else [node]:
            yield str(branch["type"] if isinstance(branch, dict) else branch)

    return tuple(names())


def _fits(value: object, kind: str) -> bool:
    if value is None or kind == "null":
        return value is None and kind == "null"
    if kind == "string":
        return isinstance(value, str) and len(value) <= _LONGEST_TEXT and _is_unicode(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == "long":
        # In JSON 7.0 and 7 are the same number.
        return -_INT64 <= value < _INT64 and value == math.floor(value)
    return isinstance(value, int) or math.isfinite(value)


def _is_unicode(text: str) -> bool:
    """Tell whether a text has no half of a character: JSON can say such, UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
