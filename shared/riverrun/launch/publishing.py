"""Publishes events from lines of JSON, each held to its stream's schema and rules before it is sent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from riverrun.errors import SettingsError
from riverrun.events.decode import EventDecoder, Place
from riverrun.events.json_object import parse_object
from riverrun.events.reasons import Reason, RefusedError
from riverrun.events.settings import IngestSettings
from riverrun.events.stream import IngestStream
from riverrun.events.streams import streams_of
from riverrun.launch.sending import Sender
from riverrun.launch.session import Session

__all__ = ["Published", "RefusedLine", "publish_lines"]


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that is no acceptable event: its number, from one, and why."""

    number: int
    reason: str
    detail: str


@dataclass(slots=True)
class Published:
    """What became of the lines: events by topic, and the lines that were not sent."""

    sent: Counter[str] = field(default_factory=Counter)
    refused: list[RefusedLine] = field(default_factory=list)


class _Streams:
    """The pipeline's streams, by topic and by name."""

    def __init__(self, session: Session) -> None:
        deployment = session.deployment
        bounds = IngestSettings.from_environment()
        self.streams = streams_of(deployment.pipeline, deployment.wire.codecs.streams)
        self._decoders = {
            stream.schema.name: EventDecoder(stream, deployment.ids, Place(0, 1), bounds) for stream in self.streams
        }

    def find(self, name: str) -> IngestStream:
        for stream in self.streams:
            if name in (stream.schema.name, stream.schema.topic):
                return stream
        known = ", ".join(stream.schema.topic for stream in self.streams)
        raise SettingsError(f"the pipeline has no stream {name!r}", hint=f"its topics are {known}")

    def record(self, stream: IngestStream, event: Mapping[str, object], received: int) -> tuple[bytes, bytes]:
        """Return value and key of an event's record; raise `RefusedError` if it is not acceptable."""
        accepted = self._decoders[stream.schema.name].accept(event, received)
        stream.check_rules(accepted.fields)
        value = orjson.dumps(event) if stream.schema.format == "json" else accepted.payload
        return value, accepted.key.encode()


def publish_lines(session: Session, lines: Iterable[bytes], stream: str | None = None) -> Published:
    """Publish the events of lines, in their order, those that are acceptable.

    Parameters
    ----------
    session
        The connected pipeline.
    lines
        Each is a JSON object with ``topic`` and ``event``, as ``riverrun init`` writes them; or, if a stream is named,
        the event alone.
    stream
        Name or topic of the stream of all lines.

    Raises
    ------
    SettingsError
        If the pipeline has no such stream.
    UnavailableError, AccessDeniedError
        If Kafka does not take all of them.
    """
    streams, found = _Streams(session), Published()
    of_all = None if stream is None else streams.find(stream)
    received = time.time_ns() // 1_000_000
    with Sender(session.addresses, "events", "publish events") as sender:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                where, event = _event(streams, parse_object(line), of_all)
                value, key = streams.record(where, event, received)
            except RefusedError as refused:
                found.refused.append(RefusedLine(number, refused.reason.value, refused.detail))
                continue
            sender.send(where.schema.topic, value, key)
            found.sent[where.schema.topic] += 1
    return found


def _event(
    streams: _Streams, line: dict[str, object], of_all: IngestStream | None
) -> tuple[IngestStream, Mapping[str, object]]:
    if of_all is not None:
        return of_all, line
    topic, event = line.get("topic"), line.get("event")
    if not isinstance(topic, str) or not isinstance(event, dict):
        raise RefusedError(Reason.MISSING_FIELD, "the line has no `topic` with an `event`; or say --stream")
    try:
        return streams.find(topic), event
    except SettingsError as error:
        raise RefusedError(Reason.OUT_OF_RANGE, error.message) from error
