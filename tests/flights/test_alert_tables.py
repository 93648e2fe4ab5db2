"""The report's tables of alerts: incidents begin and end, drift is summed up by kind, storms have their alerts."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from examples.flights.alert_tables import drift_table, incidents_table, storms_table
from riverrun.records.items import Alert, Source

HOUR = 3_600_000


def _alert(number: int, status: str = "raised", kind: str = "quality", subject: str = "logistic") -> Alert:
    incident = "first" if kind == "quality" else f"i{number}"
    alert = Alert(
        f"a{number}", incident, status, "rule", kind, "warning", subject, number * HOUR, f"title {number}", SOURCE
    )
    if kind == "drift" and number % 2:
        alert.segment = {"carrier": "UA"}
    return alert


SOURCE = Source("t", 0, 0)
ALERTS = [
    _alert(0),
    _alert(1, kind="drift", subject="input dewp"),
    _alert(2, kind="drift", subject="input visib"),
    _alert(3, kind="drift", subject="missing pressure"),
    _alert(5, "resolved"),
]


def _rows(table: Table) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    text = console.file.getvalue() if isinstance(console.file, io.StringIO) else ""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]


def test_an_incident_has_one_row_from_when_to_when() -> None:
    """What was told first is shown, and drift is not among them."""
    assert _rows(incidents_table(ALERTS)) == [["01 Jan 00:00", "01 Jan 05:00", "warning", "title 0"]]


def test_an_incident_shows_the_worst_that_was_told_of_it() -> None:
    """Of what was told again and again, the row has the value farthest beyond its limit, and the first one's time."""
    told = [_alert(number) for number in range(3)]
    for alert, value in zip(told, (0.69, 0.52, 0.66), strict=True):
        alert.values = {"value": value, "limit": 0.7}
    assert _rows(incidents_table(told)) == [["01 Jan 00:00", "", "warning", "title 1"]]


def test_a_storm_shows_what_was_told_during_it() -> None:
    """Quality before drift, critical before warning, each matter once; what came before or after is not the storm's."""
    blizzard = round(datetime(2013, 2, 8, tzinfo=UTC).timestamp() * 1_000) // HOUR
    told = [
        _alert(blizzard - 1, subject="before"),
        _alert(blizzard + 1, kind="drift", subject="missing pressure"),
        _alert(blizzard + 2, kind="drift", subject="missing wind"),
        _alert(blizzard + 3),
        _alert(blizzard + 4),
        _alert(blizzard + 5, "resolved"),
        _alert(blizzard + 200, subject="after"),
    ]
    told[2].severity = "critical"
    titles = [f"- title {blizzard + number}" for number in (3, 2, 1)]
    assert _rows(storms_table(told, end=0)) == [
        ["the blizzard of 8 and 9 February", "4", titles[0]],
        *(["", "", title] for title in titles[1:]),
    ]


def test_a_storm_without_alerts_is_shown_unless_the_run_ended_before() -> None:
    """That nothing was told is something to see; of what was not replayed nothing can be said."""
    july = round(datetime(2013, 7, 20, tzinfo=UTC).timestamp() * 1_000)
    told = [_alert(round(datetime(2013, 6, 20, tzinfo=UTC).timestamp() * 1_000) // HOUR)]
    thunder = ["thunderstorms, 13 June to 15 July", "1", f"- {told[0].title}"]
    assert _rows(storms_table(told, end=july)) == [["the blizzard of 8 and 9 February", "0", "none"], thunder]
    assert _rows(storms_table([], end=round(datetime(2013, 2, 10, tzinfo=UTC).timestamp() * 1_000))) == []


def test_findings_of_drift_are_summed_up_by_kind() -> None:
    """The most frequent kind comes first."""
    assert _rows(drift_table(ALERTS)) == [
        ["input", "2", "01 Jan 01:00", "01 Jan 02:00", "dewp, visib", "carrier=UA"],
        ["missing", "1", "01 Jan 03:00", "01 Jan 03:00", "pressure", "carrier=UA"],
    ]
