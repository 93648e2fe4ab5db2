"""The parcels' features, computed anew for each vector from the messages themselves, as simply as can be."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from chaos.evidence import Evidence, Row
from chaos.findings import Finding, Sort
from chaos.messages import Messages
from riverrun.records.items import Source
from riverrun.records.topics import Kind

__all__ = ["PlainFeatures"]

_PANES: Final = 12
_HOUR_MS: Final = 3_600_000
_DAY_PANE_MS: Final = 24 * _HOUR_MS // _PANES
_HOUR_PANE_MS: Final = _HOUR_MS // _PANES
_NAMES: Final = ("carrier", "distance", "weight", "hour", "scans", "delay", "carrier_hours", "carrier_parcels")

Fields = dict[str, Any]


class _Seen(NamedTuple):
    """An event in a pile: its position in its partition, its pane, and the newest pane so far; ``kept`` or too old."""

    position: int
    pane: int
    newest: int
    time: int
    value: float
    kept: bool


class _Pile:
    """The events of one entity and window, in one partition."""

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._seen: list[_Seen] = []

    def add(self, position: int, pane: int, time: int, value: float) -> None:
        newest = max(pane, self._seen[-1].newest) if self._seen else pane
        self._positions.append(position)
        self._seen.append(_Seen(position, pane, newest, time, value, kept=pane > newest - _PANES))

    def until(self, position: int) -> list[_Seen]:
        """Return what lies before a position, the newest last."""
        return self._seen[: bisect_left(self._positions, position)]


class PlainFeatures:
    """Recomputes every vector (I3), each from nothing later than its own event (I7).

    Parameters
    ----------
    evidence
        What a run left.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._read = Messages(evidence.deployment.ids)
        self._prefix = f"{evidence.pipeline.name}-raw."
        self._messages = {
            Source(record.topic, record.partition, record.offset): record.value
            for records in evidence.raw.values()
            for record in records
        }
        self._piles: dict[tuple[str, str, int], _Pile] = {}
        self._watermarks: dict[int, list[int]] = {}

    def findings(self) -> Iterator[Finding]:
        """Compare every vector; first fold all events."""
        events: dict[int, list[Fields]] = {}
        for partition in range(self._evidence.partitions):
            events[partition] = []
            watermarks = self._watermarks[partition] = [0]
            for position, row in enumerate(self._evidence.of(Kind.EVENTS, partition)):
                fields = self._read.fields(self._messages[row.stamp.source])
                stream = row.stamp.source.topic.removeprefix(self._prefix)
                events[partition].append(fields)
                watermarks.append(max(watermarks[-1], fields["at"]))
                self._fold(stream, fields, position, partition)
        for partition, fields_of in events.items():
            for row in self._evidence.of(Kind.VECTORS, partition):
                yield from self._compare(row, fields_of[row.item.event_seq], partition)

    def _fold(self, stream: str, fields: Fields, position: int, partition: int) -> None:
        at = fields["at"]
        if stream == "scanned":
            self._pile("scans", fields["parcel_id"], partition).add(position, at // _DAY_PANE_MS, at, fields["delay"])
        elif stream == "delivered":
            self._pile("hours", fields["carrier"], partition).add(position, at // _DAY_PANE_MS, at, fields["hours"])
        elif stream == "shipped":
            self._pile("parcels", fields["carrier"], partition).add(position, at // _HOUR_PANE_MS, at, 1.0)

    def _pile(self, window: str, entity: str, partition: int) -> _Pile:
        return self._piles.setdefault((window, entity, partition), _Pile())

    def _compare(self, row: Row, fields: Fields, partition: int) -> Iterator[Finding]:
        vector = row.item
        wanted = self._vector(fields, vector, partition)
        for name, value, due in zip(_NAMES, vector.values, wanted, strict=True):
            same = math.isclose(value, due, rel_tol=1e-9) if isinstance(due, float) else value == due
            if not same:
                text = f"{name} of {vector.id} is {value}, recomputed it is {due}"
                yield Finding(Sort.WRONG, text, row.at_ms, vector.id)

    def _vector(self, fields: Fields, vector: Any, partition: int) -> Sequence[Any]:
        at, own = fields["at"], vector.event_seq
        watermark = self._watermarks[partition][own]
        # How far each other partition's part was when it was read; what was not there was not read.
        reads = {(read.entity, read.partition): read.position for read in vector.reads}

        def window(name: str, entity: str, pane_ms: int) -> list[_Seen]:
            piles = []
            for number in range(self._evidence.partitions):
                until = own if number == partition else reads.get((entity, number), 0)
                piles.append(self._pile(name, entity, number).until(until))
            return _in_window(piles, at // pane_ms, watermark // pane_ms)

        scans = window("scans", fields["parcel_id"], _DAY_PANE_MS)
        hours = window("hours", fields["carrier"], _DAY_PANE_MS)
        parcels = window("parcels", fields["carrier"], _HOUR_PANE_MS)
        weight = fields["weight"]
        return (
            fields["carrier"],
            math.log1p(fields["distance"]),
            1.0 if weight is None else float(weight),
            datetime.fromtimestamp(at / 1000, UTC).hour,
            len(scans),
            max(scans, key=lambda seen: (seen.time, seen.position)).value if scans else 0.0,
            sum(seen.value for seen in hours) / len(hours) if hours else 24.0,
            len(parcels),
        )


def _in_window(piles: Sequence[Sequence[_Seen]], now: int, watermark: int) -> list[_Seen]:
    """Return what a vector at pane ``now`` sees, by decision 0005."""
    newest = max((pile[-1].newest for pile in piles if pile), default=now)
    low = max(now, newest, watermark - _PANES) - _PANES + 1
    return [seen for pile in piles for seen in pile if seen.kept and low <= seen.pane <= now]
