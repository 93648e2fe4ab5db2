"""The year's alerts as tables for people: incidents one by one, findings of drift by kind, and what storms did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.table import Table

from riverrun.records.items import Alert

__all__ = ["day", "drift_table", "incidents_table", "storms_table"]

_DRIFT = "drift"
_MOST_ROWS = 40
_MOST_SUBJECTS = 4
_MOST_TITLES = 4
_SEVERITIES = ("info", "warning", "critical")

_STORMS = (
    ("the blizzard of 8 and 9 February", datetime(2013, 2, 8, tzinfo=UTC), datetime(2013, 2, 12, tzinfo=UTC)),
    ("thunderstorms, 13 June to 15 July", datetime(2013, 6, 13, tzinfo=UTC), datetime(2013, 7, 16, tzinfo=UTC)),
    ("the snow of 8 to 17 December", datetime(2013, 12, 8, tzinfo=UTC), datetime(2013, 12, 18, tzinfo=UTC)),
)
"""The storms over New York in 2013 by which flights were held up most, and until when the alerts of them came."""


def day(milliseconds: int) -> str:
    """Return a moment as people say it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%d %b %H:%M")


def incidents_table(alerts: Iterable[Alert]) -> Table:
    """Return a row an incident that is not drift: since when, until when, and the worst that was told of it."""
    table = Table(title="alerts of the year", title_justify="left", header_style="bold")
    for name in ("since", "until", "severity", "what"):
        table.add_column(name)
    first: dict[str, Alert] = {}
    worst: dict[str, Alert] = {}
    over: dict[str, Alert] = {}
    for alert in alerts:
        if alert.kind == _DRIFT:
            continue
        incident = alert.incident
        if alert.status == "resolved":
            over[incident] = alert
            continue
        first.setdefault(incident, alert)
        worst[incident] = max(worst.get(incident, alert), alert, key=_excess)
    for incident, alert in list(first.items())[:_MOST_ROWS]:
        until = day(over[incident].time) if incident in over else ""
        table.add_row(day(alert.time), until, worst[incident].severity, worst[incident].title)
    if len(first) > _MOST_ROWS:
        table.add_row("", "", "", f"and {len(first) - _MOST_ROWS} more")
    return table


def _excess(alert: Alert) -> float:
    """Return by how much an alert's value is beyond its limit; 0 where it has none."""
    return abs(alert.values.get("value", 0.0) - alert.values.get("limit", 0.0))


def storms_table(alerts: Iterable[Alert], end: int) -> Table:
    """Return a row a storm: how often something was told, and the gravest of it, each matter once.

    A storm that the run, whose event time got to ``end``, did not see to its end is left out if nothing was told of it.
    """
    table = Table(title="what the storms did", title_justify="left", header_style="bold")
    for name in ("storm", "alerts", "the gravest"):
        table.add_column(name, justify="right" if name == "alerts" else "left")
    raised = [alert for alert in alerts if alert.status == "raised"]
    for storm, since, until in _STORMS:
        during = [alert for alert in raised if _ms(since) <= alert.time < _ms(until)]
        gravest = sorted(
            during, key=lambda alert: (alert.kind == _DRIFT, -_SEVERITIES.index(alert.severity), -_excess(alert))
        )
        titles = {(alert.rule, alert.subject): alert.title for alert in reversed(gravest)}
        told = list(reversed(titles.values()))[:_MOST_TITLES]
        if during or end >= _ms(until):
            table.add_row(storm, str(len(during)), "\n".join(f"- {title}" for title in told) or "none")
    return table


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def drift_table(alerts: Iterable[Alert]) -> Table:
    """Return a row a kind of drift: how often it was found, when first and last, in what, and for whom."""
    table = Table(title="drift of the year", title_justify="left", header_style="bold")
    for name in ("kind", "found", "first", "last", "in", "segments"):
        table.add_column(name, justify="right" if name == "found" else "left")
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        if alert.kind == _DRIFT and alert.status == "raised":
            found.setdefault(alert.subject.partition(" ")[0], []).append(alert)
    for kind, group in sorted(found.items(), key=lambda item: -len(item[1])):
        times = [alert.time for alert in group]
        subjects = [alert.subject.partition(" ")[2] for alert in group]
        segments = [f"{name}={value}" for alert in group for name, value in alert.segment.items()]
        row = [kind, str(len(group)), day(min(times)), day(max(times)), _few(subjects), _few(segments)]
        table.add_row(*row)
    return table


def _few(names: Sequence[str]) -> str:
    """Return the most frequent of some names, and how many more there are."""
    ranked = sorted(set(names), key=lambda name: (-names.count(name), name))
    more = len(ranked) - _MOST_SUBJECTS
    return ", ".join(ranked[:_MOST_SUBJECTS]) + (f" and {more} more" if more > 0 else "")
