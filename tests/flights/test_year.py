"""The year of flights: counts, event times, labels and identities, checked on known flights."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from examples.flights.corruption import Record
from examples.flights.year import (
    ARRIVED,
    DEPARTED,
    HOUR_MS,
    MINUTE_MS,
    SCHEDULED,
    STREAMS,
    WEATHER,
    StreamSpec,
    Table,
    flight_records,
    load_tables,
)

NEW_YORK = ZoneInfo("America/New_York")


def _table(spec: StreamSpec) -> Table:
    return load_tables()[STREAMS.index(spec)]


def _flight(spec: StreamSpec, flight_id: str) -> Record | None:
    table = _table(spec)
    return next(table.records(np.flatnonzero(table.columns["flight_id"] == flight_id)), None)


def _known(spec: StreamSpec, flight_id: str) -> Record:
    record = _flight(spec, flight_id)
    assert record is not None, f"{flight_id} is not in {spec.topic}"
    return record


def _new_york_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


def test_number_of_events() -> None:
    """Every flight and every hour of weather is there, and only what departed and arrived says so."""
    assert {table.spec.topic: len(table.times) for table in load_tables()} == {
        "weather.observed": 26_115,
        "flights.arrived": 327_346,
        "flights.departed": 328_521,
        "flights.scheduled": 336_776,
    }


def test_event_times_of_a_known_flight_in_winter() -> None:
    """UA 1545 of 1 January, due at 5:15, left 2 minutes late, flew 227 minutes, came 11 minutes late."""
    flight = "20130101-UA-1545-EWR-0515"
    scheduled, departed, arrived = (_known(spec, flight) for spec in (SCHEDULED, DEPARTED, ARRIVED))
    assert scheduled["sched_dep"] == _new_york_ms("2013-01-01T05:15")
    assert scheduled["announced_at"] == _new_york_ms("2013-01-01T04:15")
    assert departed["departed_at"] == _new_york_ms("2013-01-01T05:17")
    assert arrived["arrived_at"] == _new_york_ms("2013-01-01T05:17") + (227 + 20) * MINUTE_MS
    assert (departed["dep_delay"], arrived["arr_delay"], arrived["dest"]) == (2.0, 11.0, "IAH")
    # Due at 8:19 in Houston, an hour behind New York.
    assert scheduled["sched_elapsed"] == 4 * 60 + 4
    assert (scheduled["hour"], scheduled["minute"], scheduled["weekday"], scheduled["month"]) == (5, 15, 1, 1)


def test_summer_time() -> None:
    """Local hours are New York's, with summer time from 10 March to 3 November; none is off by an hour."""
    table = _table(SCHEDULED)
    sample = np.arange(0, len(table.times), 997)
    for record in table.records(sample):
        day, clock = str(record["flight_id"])[:8], str(record["flight_id"])[-4:]
        local = f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:]}"
        assert record["sched_dep"] == _new_york_ms(local)
        assert (int(clock[:2]), int(clock[2:])) == (record["hour"], record["minute"])
        assert record["weekday"] == datetime.fromisoformat(local).weekday()


def test_cancelled_flight_is_only_announced() -> None:
    """EV 4308 of 1 January never left."""
    flight = "20130101-EV-4308-EWR-1630"
    assert _flight(SCHEDULED, flight) is not None
    assert _flight(DEPARTED, flight) is None
    assert _flight(ARRIVED, flight) is None


def test_diverted_flight_departs_but_gets_no_label() -> None:
    """MQ 4525 of 1 January left LGA at 15:25, and no delay on arrival is known."""
    flight = "20130101-MQ-4525-LGA-1530"
    assert _flight(DEPARTED, flight) is not None
    assert _flight(ARRIVED, flight) is None


@pytest.mark.parametrize("spec", STREAMS, ids=lambda spec: str(spec.topic))
def test_ids_are_unique_and_times_in_order(spec: StreamSpec) -> None:
    """Within a stream no event id is there twice, and rows are in order of event time."""
    table = _table(spec)
    assert len(set(table.columns["event_id"].tolist())) == len(table.times)
    assert bool(np.all(np.diff(table.times) >= 0))
    assert bool(np.all(table.times == table.columns[spec.time].astype(np.int64)))


def test_an_announcement_knows_nothing_of_the_outcome() -> None:
    """A flight is announced before it departs, and departs before it arrives: no label is known early."""
    scheduled, departed, arrived = (_table(spec) for spec in (SCHEDULED, DEPARTED, ARRIVED))
    announced = dict(zip(scheduled.columns["flight_id"].tolist(), scheduled.times.tolist(), strict=True))
    left = dict(zip(departed.columns["flight_id"].tolist(), departed.times.tolist(), strict=True))
    assert all(announced[flight] < time for flight, time in left.items())
    landed = zip(arrived.columns["flight_id"].tolist(), arrived.times.tolist(), strict=True)
    assert all(left[flight] < time for flight, time in landed)
    assert not {"dep_delay", "arr_delay", "air_time"} & set(scheduled.columns)


def test_order_of_announcements_does_not_give_delays_away() -> None:
    """Of two flights announced in the same minute, the second is no more likely to leave later.

    The data come in order of actual departure; an earlier version kept that order and leaked the label.
    """
    departed = _table(DEPARTED)
    delays = dict(zip(departed.columns["flight_id"].tolist(), departed.times.tolist(), strict=True))
    scheduled = _table(SCHEDULED)
    flights = zip(scheduled.times.tolist(), scheduled.columns["flight_id"].tolist(), strict=True)
    left = [(announced, delays[flight]) for announced, flight in flights if flight in delays]
    signs = [np.sign(b[1] - a[1]) for a, b in pairwise(left) if a[0] == b[0]]
    assert len(signs) > 100_000
    assert abs(float(np.mean(signs))) < 0.02


def test_labels() -> None:
    """About a quarter of the flights that arrive do so more than 15 minutes late."""
    late = _table(ARRIVED).columns["arr_delay"].astype(float) > 15
    assert int(late.sum()) == 77_630


def test_scheduled_times_make_sense() -> None:
    """Scheduled gate-to-gate times fit the distance: all are between 100 and 700 miles an hour or so."""
    table = _table(SCHEDULED)
    hours = table.columns["sched_elapsed"].astype(float) / 60
    speeds = table.columns["distance"].astype(float) / hours
    assert float(np.mean((speeds > 100) & (speeds < 620))) > 0.995


def test_weather_is_hourly_and_null_where_unknown() -> None:
    """Weather has one event an airport and hour; what was not measured is null, never NaN."""
    table = _table(WEATHER)
    assert bool(np.all(table.times % HOUR_MS == 0))
    values = table.columns["wind_gust"].tolist()
    assert values.count(None) == 20_778
    numbers = [value for column in table.columns.values() for value in column.tolist() if value is not None]
    assert not any(isinstance(number, float) and math.isnan(number) for number in numbers)


def test_records_are_merged_in_order_of_event_time() -> None:
    """`flight_records` gives all streams as one, in order of event time, from the start of the year."""
    times_of = {spec.topic: spec.time for spec in STREAMS}
    records = list(flight_records(limit=5_000))
    assert len(records) == 5_000
    assert {topic for topic, _ in records} == set(times_of)
    times = [int(str(record[times_of[topic]])) for topic, record in records]
    assert all(a <= b for a, b in pairwise(times))
    assert list(islice(flight_records(), 5_000)) == records
