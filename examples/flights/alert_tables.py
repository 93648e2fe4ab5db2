"""The year's alerts as tables for people: incidents one by one, findings of drift by kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.table import Table

from riverrun.records.items import Alert

__all__ = ["day", "drift_table", "incidents_table"]

_DRIFT = "drift"
_MOST_ROWS = 40
_MOST_SUBJECTS = 4


def day(milliseconds: int) -> str:
    """Return a moment as people say it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%d %b %H:%M")


def incidents_table(alerts: Iterable[Alert]) -> Table:
    """Return a row an incident that is not drift: since when, until when, and what was told first."""
    table = Table(title="alerts of the year", title_justify="left", header_style="bold")
    for name in ("since", "until", "severity", "what"):
        table.add_column(name)
    first: dict[str, Alert] = {}
    over: dict[str, Alert] = {}
    for alert in alerts:
        if alert.kind != _DRIFT:
            first.setdefault(alert.incident, alert)
            if alert.status == "resolved":
                over[alert.incident] = alert
    for incident, alert in list(first.items())[:_MOST_ROWS]:
        until = day(over[incident].time) if incident in over else ""
        table.add_row(day(alert.time), until, alert.severity, alert.title)
    if len(first) > _MOST_ROWS:
        table.add_row("", "", "", f"and {len(first) - _MOST_ROWS} more")
    return table


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
