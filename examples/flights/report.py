"""What the demo leaves behind: figures for machines, a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from examples.flights.alert_tables import day, drift_table, incidents_table, storms_table
from examples.flights.alerts import Told
from examples.flights.quality import Quality
from riverrun.launch.survey import Survey
from riverrun.records.items import Alert

_DEAD = "dead:"


def _alert(alert: Alert) -> dict[str, object]:
    return {
        "id": alert.id,
        "status": alert.status,
        "rule": alert.rule,
        "severity": alert.severity,
        "subject": alert.subject,
        "time": day(alert.time),
        "title": alert.title,
    }


@dataclass(frozen=True, slots=True)
class Measurements:
    """What was measured around the pipeline.

    Parameters
    ----------
    published
        Messages, broken ones and duplicates included.
    seconds
        How long the replay took: from the pipeline's start until all of it was folded.
    replayed
        How many messages that were.
    first_prediction_s
        Seconds from the demo's start to the first prediction.
    latency_ms
        ``p50`` and ``p99`` at the steady rate.
    memory_mb
        Resident memory: the pipeline's at a quarter of the replay (``quarter``), at its ``end``, at most (``peak``),
        and the most that the ``drift`` stages took afterwards.
    """

    published: int
    seconds: float
    replayed: int
    first_prediction_s: float
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    memory_mb: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.replayed / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to tell."""

    measurements: Measurements
    survey: Survey
    quality: Quality
    digest: str
    verified: bool
    picture: Path
    told: Told

    def as_json(self) -> dict[str, object]:
        """Return the document that ``build/demo.json`` holds."""
        measured, quality = self.measurements, self.quality
        ingest = self._counters("ingest")
        ledger = self.survey.ledger()
        champion = next(iter(quality.models.values()))
        return {
            "events": measured.published,
            "accepted": ingest.get("accepted", 0),
            "dead_letters": self._dead_letters(ingest),
            "duplicates": ingest.get("duplicates", 0),
            **{name: ledger[name] for name in ("predictions", "labelled", "defaulted", "expired", "pending")},
            **champion.as_json(),
            "models": {name: score.as_json() for name, score in quality.models.items()},
            "baselines": {name: score.as_json() for name, score in quality.baselines.items()},
            "evaluated": {"flights": quality.flights, "since_ms": quality.since},
            "events_per_second": round(measured.rate, 1),
            "seconds": round(measured.seconds, 1),
            "first_prediction_s": round(measured.first_prediction_s, 1),
            "latency_ms": dict(measured.latency_ms),
            "memory_mb": dict(measured.memory_mb),
            "model_digest": self.digest,
            "verified": self.verified,
            "alerts": [_alert(alert) for alert in self.told.alerts],
            "alerts_delivered": len(self.told.delivered),
            "alerts_refused": self.told.refused,
            "picture": str(self.picture),
        }

    def _counters(self, stage: str) -> Mapping[str, int]:
        return next((each.counters for each in self.survey.stages if each.stage == stage), {})

    @staticmethod
    def _dead_letters(counters: Mapping[str, int]) -> dict[str, int]:
        return {name.removeprefix(_DEAD): count for name, count in counters.items() if name.startswith(_DEAD)}

    def write(self, path: Path) -> None:
        """Write the document."""
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def print(self, console: Console) -> None:
        """Print the report for people."""
        console.print(self._quality_table())
        console.print(incidents_table(self.told.alerts))
        console.print(drift_table(self.told.alerts))
        end = max((each.watermark for each in self.survey.stages if each.stage == "ingest"), default=0)
        console.print(storms_table(self.told.alerts, end))
        lines = (self._intake(), self._ledger(), self._speed(), self._latency(), self._deliveries(), self._verdict())
        for line in lines:
            console.print(line, markup=False)

    def _intake(self) -> str:
        ingest = self._counters("ingest")
        dead = self._dead_letters(ingest)
        return (
            f"{self.measurements.published:,} messages: {ingest.get('accepted', 0):,} events, "
            f"{ingest.get('duplicates', 0):,} duplicates, {sum(dead.values()):,} dead letters of {len(dead)} kinds"
        )

    def _ledger(self) -> str:
        ledger = self.survey.ledger()
        ends = ", ".join(f"{ledger[name]:,} {name}" for name in ("labelled", "defaulted", "expired", "pending"))
        return f"{ledger['predictions']:,} predictions: {ends}; quality is over {self.quality.flights:,} labelled ones"

    def _speed(self) -> str:
        measured = self.measurements
        return (
            f"{measured.rate:,.0f} messages a second for {measured.seconds:,.0f} s; first prediction after "
            f"{measured.first_prediction_s:.0f} s; {measured.memory_mb.get('peak', 0.0):,.0f} MiB of memory at most, "
            f"and {measured.memory_mb.get('drift', 0.0):,.0f} MiB for drift, beside it"
        )

    def _latency(self) -> str:
        latency = self.measurements.latency_ms
        figures = ", ".join(f"{value:,.0f} ms ({name})" for name, value in latency.items()) or "too few to measure"
        return f"from an event's append to its prediction's commit, at 1,000 events a second: {figures}"

    def _verdict(self) -> str:
        verdict = "every promise held" if self.verified else "A PROMISE WAS BROKEN, see above"
        return f"verified: {verdict}; the champion's digest is {self.digest[:16]}"

    def _deliveries(self) -> str:
        told = self.told
        return (
            f"{len(told.alerts)} alerts, {len(told.delivered)} of them delivered to a webhook on this machine, which "
            f"verified each signature ({told.refused} refused)"
        )

    def _quality_table(self) -> Table:
        table = Table(title="predictions against labels", title_justify="left", header_style="bold")
        for name in ("model", "AUC", "log loss"):
            table.add_column(name, justify="left" if name == "model" else "right")
        scores = {**self.quality.models, **self.quality.baselines}
        for index, (name, score) in enumerate(scores.items()):
            role = "champion" if index == 0 else "challenger" if name in self.quality.models else "baseline"
            table.add_row(f"{name} ({role})", f"{score.auc:.4f}", f"{score.log_loss:.4f}")
        return table
