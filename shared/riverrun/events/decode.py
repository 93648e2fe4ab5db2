"""A producer's record to a candidate for `events`, or to a dead letter that says why not. Nothing escapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from riverrun.errors import UnavailableError
from riverrun.events.avro_value import AvroValues
from riverrun.events.fields import EventFields
from riverrun.events.json_object import parse_object
from riverrun.events.reasons import Reason, RefusedError
from riverrun.events.settings import IngestSettings
from riverrun.events.stream import IngestStream
from riverrun.records.definition import identity_text
from riverrun.records.ids import SchemaIds
from riverrun.records.items import NOWHERE, DeadLetter, Event, FieldValue, Source
from riverrun.records.murmur2 import partition_of
from riverrun.runtime.ports import Record

__all__ = ["Candidate", "EventDecoder", "Place", "dead_letter"]

LAST_TIME_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, UTC."""

_JSON_STARTS: Final = frozenset(b'{["-0123456789tfn \t\r\n')
_KEYS_REMEMBERED: Final = 1 << 16
_KEPT_ATTRIBUTES: Final = 1 << 16


@dataclass(slots=True)
class Candidate:
    """An event that decoded well, before the rules and the search for duplicates; with the record it came from."""

    time: int
    event: Event
    record: Record


@dataclass(frozen=True, slots=True)
class Place:
    """Which partition this is, of how many."""

    partition: int
    partitions: int


class EventDecoder:
    """Decodes one stream's records.

    Parameters
    ----------
    stream
        The stream.
    ids
        Schema ids; the stream's own is asked for here.
    place
        The partition, to find records that were sent to the wrong one.
    settings
        How strict to be.
    """

    def __init__(self, stream: IngestStream, ids: SchemaIds, place: Place, settings: IngestSettings) -> None:
        schema = stream.schema
        self._name = schema.name
        self._id, self._key, self._time = schema.id, schema.key, schema.time
        self._format = schema.format
        self._max_future = stream.max_future_ms
        self._settings = settings
        self._place = place
        self._fields = EventFields(schema.schema, settings.max_text)
        self._avro = AvroValues(schema, self._fields, ids, check_canonical=settings.check_canonical)
        self._partition_of: Callable[[str], int] | None = None
        if stream.joined and place.partitions > 1:
            self._partition_of = _partitioner(place.partitions)

    def decode(self, record: Record) -> Candidate | DeadLetter:
        """Return the candidate, or the dead letter that says what is wrong.

        Raises
        ------
        UnavailableError
            If the record names a schema that must be asked for and the registry does not answer. Nothing else.
        """
        try:
            try:
                return self._decode(record)
            except (RefusedError, UnavailableError):
                raise
            except Exception as error:
                # A stranger's bytes can make a decoder raise anything; none of it may stop the partition.
                detail = f"the value does not decode: {type(error).__name__}: {error}"
                raise RefusedError(Reason.UNDECODABLE, detail) from error
        except RefusedError as refusal:
            return dead_letter(record, refusal, self._settings)

    def _decode(self, record: Record) -> Candidate:
        topic, partition, offset, timestamp, _, value, _ = record
        if not value:
            raise RefusedError(Reason.EMPTY, "the record has no value" if value is None else "the value has no bytes")
        if len(value) > self._settings.max_message_bytes:
            raise RefusedError(
                Reason.TOO_LARGE,
                f"the value has {len(value)} bytes, {self._settings.max_message_bytes} are allowed",
            )
        if self._is_avro(value):
            fields, payload = self._avro.decode(value)
        else:
            fields = self._fields.from_json(parse_object(value))
            payload = self._fields.encode(self._avro.frame, fields)
        event = self._event(fields, payload, timestamp, Source(topic, partition, offset))
        if self._partition_of is not None:
            wanted = self._partition_of(event.key)
            if wanted != partition:
                raise self._misrouted(event.key, wanted)
        return Candidate(event.time, event, record)

    def accept(self, given: Mapping[str, object], received: int) -> Event:
        """Return the event that a parsed JSON object holds, which came by another way than the stream's topic.

        Parameters
        ----------
        given
            The object, as `riverrun.events.json_object` parses one.
        received
            When it came, in milliseconds since the epoch: the event time may lie so far ahead of it as the stream
            allows.

        Raises
        ------
        RefusedError
            If it is not what the stream's schema says; the rules are not looked at.
        """
        fields = self._fields.from_json(given)
        payload = self._fields.encode(self._avro.frame, fields)
        return self._event(fields, payload, received, NOWHERE)

    def _event(self, fields: dict[str, FieldValue], payload: bytes, timestamp: int, source: Source) -> Event:
        """Return the event with these fields, whose id, key and time must be usable."""
        identity = identity_text(fields[self._id])
        if identity is None:
            raise RefusedError(Reason.BAD_ID, f"the id, field {self._id!r}, is {fields[self._id]!r}")
        key = identity_text(fields[self._key])
        if key is None:
            raise RefusedError(Reason.BAD_KEY, f"the key, field {self._key!r}, is {fields[self._key]!r}")
        time = self._event_time(fields[self._time], timestamp)
        return Event(self._name, identity, key, time, fields, payload, source)

    def _is_avro(self, value: bytes) -> bool:
        first = value[0]
        if self._format == "json":
            return False
        if first == 0:
            return True
        if self._format == "avro":
            raise RefusedError(
                Reason.UNKNOWN_FORMAT,
                f"the first byte is {first}: not Confluent framing: byte 0, a schema id in 4 bytes, the record",
            )
        if first not in _JSON_STARTS:
            raise RefusedError(
                Reason.UNKNOWN_FORMAT,
                f"the first byte is {first}: neither Confluent framing (0) nor the start of JSON",
            )
        return False

    def _event_time(self, value: FieldValue, timestamp: int) -> int:
        if type(value) is not int:
            raise RefusedError(Reason.BAD_TIME, f"the event time, field {self._time!r}, is {value!r}")
        if not 0 <= value <= LAST_TIME_MS:
            raise RefusedError(
                Reason.BAD_TIME,
                f"the event time, field {self._time!r}, is {value} ms since 1970, outside of the years 1970 to 9999: "
                "is it in milliseconds?",
            )
        if self._max_future is not None and timestamp >= 0 and value > timestamp + self._max_future:
            raise RefusedError(
                Reason.BAD_TIME,
                f"the event time, field {self._time!r}, is {value - timestamp} ms ahead of the record's timestamp "
                f"{timestamp}, at most {self._max_future} is allowed",
            )
        return value

    def _misrouted(self, key: str, wanted: int) -> RefusedError:
        place = self._place
        return RefusedError(
            Reason.MISROUTED,
            f"key {key!r:.80} belongs in partition {wanted} of {place.partitions} by murmur2, not {place.partition}: "
            "set partitioner=murmur2_random in librdkafka producers, and send the key field as the record's key",
        )


def _partitioner(partitions: int) -> Callable[[str], int]:
    """Return what computes keys' partitions: keys repeat, and hashing one takes several microseconds."""

    @lru_cache(maxsize=_KEYS_REMEMBERED)
    def partition(key: str) -> int:
        return partition_of(key.encode(), partitions)

    return partition


def dead_letter(record: Record, refused: RefusedError, settings: IngestSettings) -> DeadLetter:
    """Return the dead letter of a record, with its original bytes as far as a broker will take them back."""
    detail = refused.detail
    key, value, headers = record.key, record.value, tuple(record.headers)
    room = settings.max_kept_bytes
    extra = len(key or b"") + sum(len(name) * 4 + len(content or b"") + 8 for name, content in headers)
    if extra > _KEPT_ATTRIBUTES:
        key, headers = (key or b"")[: _KEPT_ATTRIBUTES // 2], ()
        detail = f"(key cut and headers dropped: {extra} bytes) {detail}"
        extra = len(key)
    if value is not None and len(value) + extra > room:
        detail = f"(the first {room - extra} of {len(value)} bytes are kept) {detail}"
        value = value[: room - extra]
    return DeadLetter(
        reason=refused.reason.value,
        detail=RefusedError(refused.reason, detail).detail,
        source=Source(record.topic, record.partition, record.offset),
        timestamp=record.timestamp,
        key=key,
        value=value,
        headers=headers,
    )
