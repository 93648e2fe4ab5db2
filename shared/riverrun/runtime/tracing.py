"""Traces of single records through the stages: what the runtime asks of a tracer, and where it attaches the context.

A sampled record carries a W3C ``traceparent`` header; all that follows from it carries one too. Nothing is asked for
records that carry none, but for the few that the tracer itself picks. Without a tracer nothing here runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from riverrun.runtime.inputs import Decode, Entry
from riverrun.runtime.ports import Headers, Record

__all__ = [
    "TRACEPARENT",
    "TRACESTATE",
    "Incoming",
    "RecordTrace",
    "RequestTrace",
    "RequestTracing",
    "TracedRecords",
    "Tracing",
]

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_MOST_MARKED: Final = 4_096
"""Marked records that may wait to be folded; those of records that were dropped meanwhile would pile up."""


class Incoming(NamedTuple):
    """A record to be traced: where it lies, and the trace that it is part of (both empty to begin one)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    traceparent: str = ""
    tracestate: str = ""


class RecordTrace(Protocol):
    """One record's way through a chain."""

    @property
    def headers(self) -> Headers:
        """What all that follows from the record carries."""
        ...

    def folded(self) -> None:
        """Tell that all stages have folded it."""
        ...

    def committing(self) -> None:
        """Tell that its transaction is about to be committed."""
        ...

    def ended(self, error: str = "") -> None:
        """Tell that it was committed, or why not."""
        ...


class Tracing(Protocol):
    """Decides what is traced, and records it."""

    def due(self) -> bool:
        """Tell whether the next record that belongs to no trace shall begin one: asked for each, so quick."""
        ...

    def has_room(self) -> bool:
        """Tell whether more may be traced now: asked for each record that may belong to a trace, so quick."""
        ...

    def may_follow(self, traceparent: bytes) -> bool:
        """Tell whether a record with this header may be traced; most are not sampled, so quick and without parsing."""
        ...

    def start(self, incoming: Incoming, chain: str) -> RecordTrace | None:
        """Start a record's trace, unless its producer did not sample it or too many are traced already."""
        ...


class RequestTrace(Protocol):
    """One request by HTTP, up to its answer."""

    @property
    def headers(self) -> Headers:
        """What the records that it becomes carry."""
        ...

    def ended(self, error: str = "") -> None:
        """Tell that it was answered well, or what was wrong."""
        ...


class RequestTracing(Protocol):
    """Decides which requests are traced, and records them."""

    def due(self) -> bool:
        """Tell whether the next request that belongs to no trace shall begin one."""
        ...

    def serve(self, name: str, traceparent: str = "", tracestate: str = "") -> RequestTrace | None:
        """Start a request's trace, unless its caller did not sample it or too many are traced already."""
        ...


class TracedRecords:
    """The records of one task that are traced: marked when they are read, started when they are folded.

    Parameters
    ----------
    tracing
        The tracer.
    chain
        Name of the chain, for people.
    """

    __slots__ = ("_chain", "_marked", "_started", "_tracing")

    def __init__(self, tracing: Tracing, chain: str) -> None:
        self._tracing = tracing
        self._chain = chain
        self._marked: dict[tuple[str, int], Incoming] = {}
        self._started: list[RecordTrace] = []

    def watching(self, decode: Decode, *, own_headers: int, begins: bool) -> Decode:
        """Return a decoder that marks the records to be traced as it decodes them.

        Parameters
        ----------
        decode
            The decoder.
        own_headers
            How many headers an untraced record has at least: only those with more are looked through.
        begins
            Whether a record without a trace may begin one: it comes from a producer, not from a stage.
        """
        due, has_room, may_follow = self._tracing.due, self._tracing.has_room, self._tracing.may_follow

        def decode_and_mark(record: Record) -> tuple[int, Any, int, int]:
            decoded = decode(record)
            headers = record.headers
            if len(headers) > own_headers and has_room() and (parent := _value(headers, TRACEPARENT)):
                if may_follow(parent):
                    self._mark(_incoming(record, parent))
            elif begins and due():
                self._mark(Incoming(record.topic, record.partition, record.offset, record.timestamp))
            return decoded

        return decode_and_mark

    def _mark(self, incoming: Incoming) -> None:
        if len(self._marked) >= _MOST_MARKED:
            self._marked.clear()
        self._marked[f"{incoming.topic}/{incoming.partition}", incoming.offset] = incoming

    def start(self, entries: Sequence[Entry]) -> dict[int, RecordTrace]:
        """Start the traces of a batch; return them by their record's index in it."""
        marked = self._marked
        if not marked:
            return {}
        started: dict[int, RecordTrace] = {}
        for index, entry in enumerate(entries):
            incoming = marked.pop((entry.cursor.rpartition("/")[0], entry.offset), None)
            if incoming is not None:
                trace = self._tracing.start(incoming, self._chain)
                if trace is not None:
                    started[index] = trace
        self._started.extend(started.values())
        return started

    def committing(self) -> None:
        """Tell all started traces that their transaction is about to be committed."""
        for trace in self._started:
            trace.committing()

    def ended(self, error: str = "") -> int:
        """End all started traces: they are committed, or were not for the reason given. Return how many there were."""
        ended, self._started = self._started, []
        for trace in ended:
            trace.ended(error)
        return len(ended)


def _value(headers: Headers, wanted: str) -> bytes:
    found = b""
    for name, value in headers:
        if name == wanted and value is not None:
            found = value
    return found


def _incoming(record: Record, parent: bytes) -> Incoming:
    return Incoming(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        parent.decode("ascii", "replace"),
        _value(record.headers, TRACESTATE).decode("ascii", "replace"),
    )
