"""The features of the flights example by hand: one object an entity, each window a field of it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks.bare.flight_windows import Latest, Window

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
WEATHER = ("dewp", "wind_dir", "wind_speed", "precip", "pressure", "visib")

Fields = dict[str, Any]


class _Origin:
    __slots__ = ("announced_1h", "announced_4h", "departed_1h", "departed_3h", "enroute_6h", "weather")

    def __init__(self) -> None:
        self.announced_1h = Window(_HOUR // 4, 4)
        self.announced_4h = Window(_HOUR // 2, 8)
        self.departed_1h = Window(_HOUR // 4, 4)
        self.departed_3h = Window(_HOUR // 2, 6)
        self.enroute_6h = Window(_HOUR, 6)
        self.weather = tuple(Latest(_HOUR, 3) for _ in WEATHER)


class _CarrierOrigin:
    __slots__ = ("announced_1h", "announced_4h", "delay_3h")

    def __init__(self) -> None:
        self.announced_1h = Window(_HOUR // 4, 4)
        self.announced_4h = Window(_HOUR // 2, 8)
        self.delay_3h = Window(_HOUR // 2, 6)


class _Dest:
    __slots__ = ("delay_3h", "enroute_6h")

    def __init__(self) -> None:
        self.enroute_6h = Window(_HOUR, 6)
        self.delay_3h = Window(_HOUR // 2, 6)


class _Tail:
    __slots__ = ("back_by_air_time", "back_by_schedule", "delay_1d")

    def __init__(self) -> None:
        self.delay_1d = Latest(2 * _HOUR, 12)
        self.back_by_air_time = Latest(2 * _HOUR, 12)
        self.back_by_schedule = Latest(2 * _HOUR, 12)


def _flight_window() -> Window:
    return Window(2 * _DAY, 14)


def _route_window() -> Window:
    return Window(_DAY, 14)


class FlightFeatures:
    """All windows; events go in, vectors come out."""

    def __init__(self) -> None:
        self.origins: defaultdict[str, _Origin] = defaultdict(_Origin)
        self.carriers: defaultdict[tuple[str, str], _CarrierOrigin] = defaultdict(_CarrierOrigin)
        self.dests: defaultdict[str, _Dest] = defaultdict(_Dest)
        self.tails: defaultdict[str, _Tail] = defaultdict(_Tail)
        self.flights: defaultdict[tuple[str, int], Window] = defaultdict(_flight_window)
        self.routes: defaultdict[tuple[str, str], Window] = defaultdict(_route_window)

    def announced(self, event: Fields, time: int) -> None:
        """Take in a flight's announcement."""
        origin = self.origins[event["origin"]]
        origin.announced_1h.add(time)
        origin.announced_4h.add(time)
        carrier = self.carriers[event["carrier"], event["origin"]]
        carrier.announced_1h.add(time)
        carrier.announced_4h.add(time)

    def departed(self, event: Fields, time: int) -> None:
        """Take in a departure."""
        delay = event["dep_delay"]
        late = delay > 15
        origin = self.origins[event["origin"]]
        origin.departed_1h.add(time, late)
        origin.departed_3h.add(time, late)
        self.carriers[event["carrier"], event["origin"]].delay_3h.add(time, delay)
        if event["tailnum"] is not None:
            elapsed = event["sched_elapsed"]
            back = None if elapsed is None else event["departed_at"] + elapsed * (2 * _MINUTE)
            self.tails[event["tailnum"]].back_by_schedule.add(time, back)

    def arrived(self, event: Fields, time: int) -> None:
        """Take in an arrival."""
        delay, air_time = event["arr_delay"], event["air_time"]
        enroute = delay - event["dep_delay"]
        self.origins[event["origin"]].enroute_6h.add(time, enroute)
        dest = self.dests[event["dest"]]
        dest.enroute_6h.add(time, enroute)
        dest.delay_3h.add(time, delay)
        self.flights[event["carrier"], event["flight"]].add(time, min(max(delay, -60.0), 120.0))
        self.routes[event["origin"], event["dest"]].add(time, air_time)
        if event["tailnum"] is not None:
            tail = self.tails[event["tailnum"]]
            tail.delay_1d.add(time, delay)
            tail.back_by_air_time.add(time, event["arrived_at"] + air_time * _MINUTE)

    def observed(self, event: Fields, time: int) -> None:
        """Take in the weather."""
        for name, latest in zip(WEATHER, self.origins[event["origin"]].weather, strict=True):
            latest.add(time, event[name])

    def vector(self, event: Fields, time: int) -> Fields:
        """Return the features of a flight that is announced, None for what is not known."""
        name = event["origin"]
        origin = self.origins[name]
        carrier = self.carriers[event["carrier"], name]
        dest = self.dests[event["dest"]]
        announced_1h = origin.announced_1h.read(time)[0]
        departed_3h, late_3h = origin.departed_3h.read(time)
        carrier_due = carrier.announced_4h.read(time)[0] - carrier.announced_1h.read(time)[0]
        carrier_left, carrier_delay = carrier.delay_3h.read(time)
        air_time = self.routes[name, event["dest"]].mean(time)
        elapsed, sched_dep = event["sched_elapsed"], event["sched_dep"]
        tail = self.tails[event["tailnum"]] if event["tailnum"] is not None else None
        by_air_time = tail.back_by_air_time.read(time) if tail is not None else None
        by_schedule = tail.back_by_schedule.read(time) if tail is not None else None
        return {
            "carrier": event["carrier"],
            "origin": name,
            "dest": event["dest"],
            "hour": event["hour"],
            "weekday": event["weekday"],
            "origin_late_1h": origin.departed_1h.mean(time),
            "origin_late_3h": late_3h / departed_3h if departed_3h else None,
            "carrier_origin_delay_3h": carrier_delay / carrier_left if carrier_left else None,
            "origin_overdue_3h": origin.announced_4h.read(time)[0] - announced_1h - departed_3h,
            "carrier_origin_overdue_share_3h": (carrier_due - carrier_left) / carrier_due if carrier_due else None,
            "origin_announced_1h": announced_1h,
            "origin_enroute_6h": origin.enroute_6h.mean(time),
            "dest_enroute_6h": dest.enroute_6h.mean(time),
            "dest_arr_delay_3h": dest.delay_3h.mean(time),
            "flight_arr_delay_28d": self.flights[event["carrier"], event["flight"]].mean(time),
            "slack_in_schedule": None if elapsed is None or air_time is None else elapsed - air_time,
            "tail_arr_delay_1d": tail.delay_1d.read(time) if tail is not None else None,
            "tail_slack_arrived": None if by_air_time is None else (sched_dep - by_air_time) / _MINUTE,
            "tail_slack_departed": None if by_schedule is None else (sched_dep - by_schedule) / _MINUTE,
            **dict(zip(WEATHER, [latest.read(time) for latest in origin.weather], strict=True)),
        }
