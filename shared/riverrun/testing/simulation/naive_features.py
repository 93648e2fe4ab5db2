"""What the small pipeline's features are, computed anew from all events each time: slow, short, and on its own."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from riverrun.records.items import Event, FieldValue
from riverrun.testing.small_pipeline import BUSY_MS, PANES, WORTH_MS

__all__ = ["Stored", "naive_stored", "naive_vector", "read_stored"]

_WINDOWS: Final = {"answered": WORTH_MS // PANES, "asked": BUSY_MS // PANES}
"""The aggregated streams, in the order in which they are stored, with the lengths of their panes in milliseconds."""

Stored = dict[str, tuple[int, dict[int, tuple[int, float]]]]
"""By stream: the newest pane, and of each pane that is kept the count and the sum."""


@dataclass(frozen=True, slots=True)
class _Pane:
    number: int
    value: float


def naive_vector(event: Event, own: Sequence[Event], others: Iterable[Sequence[Event]]) -> tuple[FieldValue, ...]:
    """Return the features of an event.

    Parameters
    ----------
    event
        The event to predict on.
    own
        The events that came before it in its partition.
    others
        Of each other partition, the events that its vector has seen.
    """
    watermark = max((each.time for each in own), default=0)
    seen = [*own, *(each for events in others for each in events)]
    worth = _in_window("answered", event, watermark, seen)
    busy = _in_window("asked", event, watermark, seen)
    mean = sum(pane.value for pane in worth) / len(worth) if worth else 0.0
    return event.fields["size"], mean, len(busy)


def _in_window(stream: str, event: Event, watermark: int, seen: Sequence[Event]) -> list[_Pane]:
    length = _WINDOWS[stream]
    panes = _panes(stream, str(event.fields["place"]), seen)
    newest = max((pane.number for pane in panes), default=0)
    now = event.time // length
    low = max(watermark // length - PANES, now, newest) - PANES + 1
    return [pane for pane in panes if low <= pane.number <= now]


def _panes(stream: str, place: str, events: Iterable[Event]) -> list[_Pane]:
    found = []
    for event in events:
        if event.stream == stream and event.fields["place"] == place:
            worth = event.fields.get("worth")
            found.append(_Pane(event.time // _WINDOWS[stream], worth if isinstance(worth, float) else 0.0))
    return found


def naive_stored(place: str, events: Sequence[Event]) -> tuple[int, Stored]:
    """Return what is to be stored of a place: the position reached, and what is kept of each stream."""
    position = max((event.seq + 1 for event in events if event.fields["place"] == place), default=0)
    kept: Stored = {}
    for stream in _WINDOWS:
        panes = _panes(stream, place, events)
        if not panes:
            continue
        newest = max(pane.number for pane in panes)
        totals: dict[int, tuple[int, float]] = {}
        for pane in panes:
            if pane.number > newest - PANES:
                count, total = totals.get(pane.number, (0, 0.0))
                totals[pane.number] = count + 1, total + pane.value
        kept[stream] = newest, totals
    return position, kept


def read_stored(data: bytes) -> Stored:
    """Read a stored partial by the description of its bytes (see ``riverrun.features.entries``)."""
    _, _, rings = struct.unpack_from("<B8sH", data)
    at = struct.calcsize("<B8sH")
    streams = list(_WINDOWS)
    found: Stored = {}
    for _ in range(rings):
        number, newest, panes = struct.unpack_from("<HqH", data, at)
        at += struct.calcsize("<HqH")
        totals: dict[int, tuple[int, float]] = {}
        for _ in range(panes):
            row = "<Hqd" if streams[number] == "answered" else "<Hq"
            back, count, *total = struct.unpack_from(row, data, at)
            at += struct.calcsize(row)
            totals[newest - back] = count, total[0] if total else 0.0
        found[streams[number]] = newest, totals
    return found
