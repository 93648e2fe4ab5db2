"""Decoding the producers' events by hand, and distrusting them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import orjson
from fastavro import parse_schema
from fastavro.validation import validate

from benchmarks.bare.avro import Fields, make_decoder, make_encoder

_LAST_MS = 253_402_300_799_999
_FUTURE_MS = 3_600_000


class Taken(NamedTuple):
    """A record that was read: its event, or what was wrong with it."""

    time: int
    stream: str
    event_id: str
    fields: Fields
    payload: bytes
    message: Any
    fault: str


class RefusedError(Exception):
    """A record is not an acceptable event."""


@dataclass(frozen=True, slots=True)
class Source:
    """One producers' topic.

    Parameters
    ----------
    topic, stream
        The topic, and what its events are called.
    key, time
        Fields with the key and the event time.
    schema, frame
        Its Avro schema without logical types, and the five bytes before each record.
    json
        Whether it travels as JSON.
    """

    topic: str
    stream: str
    key: str
    time: str
    schema: dict[str, object]
    frame: bytes
    json: bool = False


class Decoder:
    """Decodes the records of one topic; trusts nothing in them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._schema = parse_schema(source.schema)
        self._read = make_decoder(source.schema)
        self._encode = make_encoder(source.schema, source.frame)
        self._doubles = _double_fields(source.schema)

    def decode(self, message: Any) -> Taken:
        """Return the event, or what is wrong; never raises."""
        source = self._source
        value: bytes = message.value() or b""
        try:
            fields, payload = self.checked(value, message.timestamp()[1])
        except RefusedError as refused:
            return Taken(-1, source.stream, "", {}, value, message, str(refused))
        return Taken(fields[source.time], source.stream, fields["event_id"], fields, payload, message, "")

    def checked(self, value: bytes, appended: int) -> tuple[Fields, bytes]:
        """Return an event's fields and its canonical bytes.

        Raises
        ------
        RefusedError
            If it is not acceptable.
        """
        source = self._source
        try:
            fields, payload = self._from_json(value) if source.json else self._from_avro(value)
        except RefusedError:
            raise
        except Exception as error:
            # Strangers' bytes can make a decoder raise anything.
            raise RefusedError(f"undecodable: {error!r:.400}") from error
        time = fields[source.time]
        if not fields["event_id"] or not fields[source.key]:
            raise RefusedError("no id or no key")
        if not 0 <= time <= _LAST_MS or time > appended + _FUTURE_MS:
            raise RefusedError("impossible time")
        if not RULES[source.stream](fields):
            raise RefusedError("breaks a rule")
        return fields, payload

    def _from_avro(self, value: bytes) -> tuple[Fields, bytes]:
        if not value.startswith(self._source.frame):
            raise RefusedError("unknown schema")
        fields = self._read(value)
        for name in self._doubles:
            number = fields[name]
            if number is not None and not isfinite(number):
                raise RefusedError(f"{name} is not finite")
        # Overlong numbers, odd unions and trailing bytes decode too; no encoder writes them.
        payload = self._encode(fields)
        if payload != value:
            raise RefusedError("not canonical")
        return fields, payload

    def _from_json(self, value: bytes) -> tuple[Fields, bytes]:
        fields = orjson.loads(value)
        validate(fields, self._schema, strict=True)
        for name in self._doubles:
            if fields[name] is not None:
                fields[name] = float(fields[name])
        return fields, self._encode(fields)


def _double_fields(schema: Any) -> list[str]:
    return [each["name"] for each in schema["fields"] if each["type"] == "double" or "double" in each["type"]]


def _scheduled(fields: Fields) -> bool:
    distance: float = fields["distance"]
    return 1.0 <= distance <= 6000.0


def _departed(fields: Fields) -> bool:
    delay: float = fields["dep_delay"]
    return -120.0 <= delay <= 3000.0


def _arrived(fields: Fields) -> bool:
    delay: float = fields["arr_delay"]
    return -120.0 <= delay <= 3000.0


def _observed(fields: Fields) -> bool:
    temp: float | None = fields["temp"]
    return temp is None or -80.0 <= temp <= 140.0


RULES: Mapping[str, Callable[[Fields], bool]] = {
    "scheduled": _scheduled,
    "departed": _departed,
    "arrived": _arrived,
    "observed": _observed,
}
"""Say whether an event's values are possible, by stream."""
