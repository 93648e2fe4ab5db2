"""Signals: what the stages report, in the one order in which the alerts service folds it.

The topics that it reads have several partitions, and nothing says in which order records of two of them are to be
taken. So the intake copies them, as they are, to one topic with one partition; the order there is recorded for good,
and the fold of it gives the same alerts whenever it is made. Between the copies lie *marks*: ticks of the clock that
say how far the intake has got.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from riverrun.errors import RiverrunError
from riverrun.records.headers import Stamp
from riverrun.records.items import AlertCommand, Drift, Evaluation, Item, ModelAlias, Progress, Source
from riverrun.runtime.ports import Record

__all__ = ["ORIGIN", "Fact", "Header", "Mark", "Signal", "next_offset", "origin_header", "read_mark", "read_signal"]

ORIGIN = "riverrun-origin"
"""Header: ``topic/partition/offset`` of the record that was copied; a mark has none."""

Header = tuple[str, bytes | None]

Fact = Evaluation | Progress | ModelAlias | Drift | AlertCommand
"""What the rules look at."""

Decode = Callable[[bytes, Stamp], Item | Progress]


@dataclass(frozen=True, slots=True)
class Mark:
    """The last record of each of the intake's transactions: a tick of the clock, and where things stood.

    Parameters
    ----------
    positions
        The offset of the next record to be copied, by ``topic/partition``.
    ends
        Where the producers' topics ended, by ``topic/partition``; empty if nobody looked.
    """

    positions: Mapping[str, int]
    ends: Mapping[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"positions": dict(self.positions), "ends": dict(self.ends)}, sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class Signal:
    """One record of the signals topic.

    Parameters
    ----------
    position
        Its offset there.
    wall
        When it was written, in milliseconds since the epoch: the only clock that the fold knows, since it is recorded.
    source
        The record that it is a copy of; of a mark, the mark itself.
    fact
        What it says; None for a mark, and for what no rule looks at.
    ends
        Those of a mark.
    trouble
        Why it could not be read, if so.
    """

    position: int
    wall: int
    source: Source
    fact: Fact | None = None
    ends: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""


def origin_header(topic: str, partition: int, offset: int) -> list[Header]:
    """Return the header of a copy."""
    return [(ORIGIN, f"{topic}/{partition}/{offset}".encode())]


def read_mark(record: Record) -> Mark | None:
    """Return the mark that a record of the signals topic holds; None if it is a copy, or no mark at all."""
    if _header(record.headers) is not None or record.value is None:
        return None
    try:
        found: Any = json.loads(record.value)
        return Mark(dict(found["positions"]), dict(found["ends"]))
    except (ValueError, KeyError, TypeError):
        return None


def next_offset(record: Record) -> int:
    """Return where the next record lies if none is missing: a mark ends a transaction, whose marker takes an offset."""
    return record.offset + (1 if _header(record.headers) is not None else 2)


def _header(headers: Sequence[Header]) -> bytes | None:
    return next((content for name, content in headers if name == ORIGIN), None)


def read_signal(record: Record, decode: Decode) -> Signal:
    """Read a record of the signals topic; one that cannot be read becomes a signal that says so.

    Parameters
    ----------
    record
        As written.
    decode
        Turns a value into an item, given where it came from.
    """
    place = Source(record.topic, record.partition, record.offset)
    origin = _header(record.headers)
    if origin is None:
        mark = read_mark(record)
        trouble = "" if mark is not None else f"the record at {place} is no signal"
        return Signal(record.offset, record.timestamp, place, ends={} if mark is None else mark.ends, trouble=trouble)
    try:
        topic, partition, offset = origin.decode().rsplit("/", 2)
        source = Source(topic, int(partition), int(offset))
    except ValueError as error:
        return Signal(record.offset, record.timestamp, place, trouble=f"the signal at {place} is malformed: {error}")
    if record.value is None:
        return Signal(record.offset, record.timestamp, source)
    try:
        item = decode(record.value, Stamp(source.partition, source.position, source))
    except RiverrunError as error:
        return Signal(record.offset, record.timestamp, source, trouble=str(error))
    fact = item if isinstance(item, Evaluation | Progress | ModelAlias | Drift | AlertCommand) else None
    return Signal(record.offset, record.timestamp, source, fact)
