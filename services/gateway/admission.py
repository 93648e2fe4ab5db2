"""From a request's body to events of a stream: parsed, held to the schema and the rules, with what the caller left out.

An event that the pipeline would turn into a dead letter for what it says is refused here, where its sender hears of it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from riverrun.adapters.kafka_publisher import Outgoing
from riverrun.events.decode import EventDecoder
from riverrun.events.json_object import parse_objects
from riverrun.events.reasons import Reason, RefusedError
from riverrun.events.stream import IngestStream
from riverrun.records.definition import field_types
from riverrun.records.items import Event
from services.gateway.problems import Members, Problem, ProblemKind

__all__ = ["Admission", "Admitted", "Defaults", "Limits", "new_id", "now_ms", "unreadable"]


def new_id() -> str:
    """Return an id for an event that came without: random, so that no two are alike."""
    return uuid.uuid4().hex


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a caller may leave out: whether the gateway makes up ids, and gives the time of receipt."""

    new_id: Callable[[], str] = field(default=new_id)
    now_ms: Callable[[], int] = field(default=now_ms)


class Limits(NamedTuple):
    """Most events at once, the longest text in one, in characters, and the longest message, in bytes."""

    max_items: int
    max_text: int
    max_message: int


class Admitted(NamedTuple):
    """An event, and the record to publish it by."""

    event: Event
    record: Outgoing


def unreadable(refused: RefusedError) -> Problem:
    """Return the problem that a body is which cannot be parsed."""
    kind = ProblemKind.BAD_REQUEST if refused.reason is Reason.NOT_JSON else ProblemKind.REFUSED
    return Problem(kind, refused.detail, members={"reason": refused.reason.value})


class Admission:
    """Takes in events for one stream.

    Parameters
    ----------
    stream
        The stream.
    decoder
        Decodes its events.
    limits
        How much at once, and how long a text may be.
    defaults
        Ids and times for events that have none.
    """

    def __init__(
        self, stream: IngestStream, decoder: EventDecoder, limits: Limits, defaults: Defaults | None = None
    ) -> None:
        schema = stream.schema
        self.stream = stream
        self.time_field = schema.time
        # An id of another type than text cannot be made up: whoever numbers events must number all of them.
        types = field_types(schema.schema)
        self.id_field = schema.id if types.get(schema.id) == "string" else None
        self._integers = tuple(name for name, kind in types.items() if kind in ("int", "long"))
        self._decoder = decoder
        self._max_items = limits.max_items
        self.max_text = limits.max_text
        self._max_message = limits.max_message
        self._defaults = Defaults() if defaults is None else defaults
        self._publishes_json = schema.format == "json"

    def take(self, body: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> tuple[list[Admitted], bool]:
        """Return the events of a body, whose records get these headers, and whether it was a list.

        Raises
        ------
        Problem
            If it is not JSON, or an event is not acceptable: then none is.
        """
        try:
            given, listed = parse_objects(body)
        except RefusedError as refused:
            raise unreadable(refused) from refused
        if len(given) > self._max_items:
            detail = f"{len(given)} events at once, {self._max_items} are allowed"
            raise Problem(ProblemKind.REFUSED, detail, members={"reason": Reason.TOO_LARGE.value})
        received = self._defaults.now_ms()
        admitted = []
        for position, each in enumerate(given):
            try:
                admitted.append(self._admit(each, received, headers))
            except RefusedError as refused:
                members: Members = {"reason": refused.reason.value, "position": position}
                raise Problem(ProblemKind.REFUSED, refused.detail, members=members) from refused
        return admitted, listed

    def _admit(self, given: dict[str, object], received: int, headers: Sequence[tuple[str, bytes]]) -> Admitted:
        if self.id_field is not None and self.id_field not in given:
            given[self.id_field] = self._defaults.new_id()
        if self.time_field not in given:
            given[self.time_field] = received
        for name in self._integers:
            value = given.get(name)
            # In JSON Schema 7.0 is an integer, and some languages have no other numbers than such.
            if type(value) is float and value.is_integer():
                given[name] = int(value)
        event = self._decoder.accept(given, received)
        self.stream.check_rules(event.fields)
        value = orjson.dumps(given) if self._publishes_json else event.payload
        if len(value) > self._max_message:
            detail = f"the event has {len(value)} bytes, {self._max_message} are allowed"
            raise RefusedError(Reason.TOO_LARGE, detail)
        return Admitted(event, Outgoing(self.stream.schema.topic, event.key.encode(), value, headers))
