"""Pipelines, facts and signals for the alerts' tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from river import linear_model

import schemas
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import Label, Model, Pipeline, Stream, load
from riverrun.pipeline import drift as pipeline_drift
from riverrun.pipeline.alerts import AlertRule, Route
from riverrun.records.codecs import Codecs
from riverrun.records.ids import Entry, ManifestIds
from riverrun.records.items import (
    Alert,
    AlertCommand,
    Drift,
    Evaluation,
    InputPosition,
    ModelAlias,
    Progress,
    Source,
)
from riverrun.runtime.wire import Wire
from services.alerts.core import AlertsCore, Step
from services.alerts.signals import Fact, Signal

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
START: Final = 1_700_000_000_000
WALL: Final = 1_900_000_000_000
NAME: Final = "watched"


def pipeline_file(folder: Path, name: str) -> Path:
    """Copy the tests' pipeline file so that its pipeline is called ``name``."""
    home = folder / name
    home.mkdir()
    return Path(shutil.copy(Path(__file__).with_name("watched_pipeline.py"), home / "pipeline.py"))


def loaded(folder: Path, name: str = NAME) -> Pipeline:
    """Return the tests' pipeline."""
    return load(pipeline_file(folder, name))


def pipeline_of(*alerts: AlertRule | Route, drift: pipeline_drift.Drift | None = None) -> Pipeline:
    """Return a pipeline with these alerts."""

    def stream(name: str, value: str) -> Stream:
        pairs = (("id", "string"), ("at", "long"), (value, "double"))
        schema = {"type": "record", "name": name.capitalize(), "fields": [{"name": n, "type": t} for n, t in pairs]}
        return Stream(f"{NAME}-raw.{name}", schema=schema, key="id", time="at", id="id")

    asked, answered = stream("asked", "size"), stream("answered", "worth")
    return Pipeline(
        name=NAME,
        predict_on=asked,
        features={"size": asked.size},
        label=Label(answered.worth > 1, join="id", wait="1h", otherwise=False),
        champion=Model("line", linear_model.LogisticRegression),
        challengers=[Model("other", linear_model.LogisticRegression)],
        alerts=alerts,
        drift=drift,
    )


def wire_of(pipeline: Pipeline) -> Wire:
    """Return codecs that know every schema of a pipeline."""
    fixed = [Entry(line.subject, line.id, line.schema) for line in schemas.manifest()]
    return Wire(Codecs(schemas_of(pipeline), ManifestIds(fixed, (), lambda entry: None)))


def evaluation(value: float, time: int, model: str = "line") -> Evaluation:
    """Return a model's quality."""
    return Evaluation(model, 1_000, time, 1_000, {"ROCAUC": 0.8}, {"ROCAUC": value}, Source("", 0, 0))


def alias(model: str) -> ModelAlias:
    """Return a change of the champion."""
    return ModelAlias("champion", model, "ada", "better by 2 %", Source("", 0, 0))


def command(action: str, identity: str = "c-1", **rest: Any) -> AlertCommand:
    """Return a command."""
    return replace(AlertCommand(identity, action, WALL, "ada"), **rest)


def intake(watermark: int, counters: dict[str, int] | None = None, asked: int = 0, partition: int = 0) -> Progress:
    """Return a commit record of ``ingest``, which has read ``asked`` records of the stream of that name."""
    inputs = (InputPosition(f"{NAME}-raw.asked", partition, -1, asked, asked),)
    return Progress("ingest", partition, inputs, {}, counters or {}, watermark)


def finding(subject: str, time: int, kind: str = "input", severity: str = "warning", segment: str = "") -> Drift:
    """Return a finding of drift."""
    return Drift(
        id=f"{subject}-{time}",
        kind=kind,
        severity=severity,
        subject=subject,
        segment=segment,
        statistic="psi",
        value=0.5,
        threshold=0.2,
        p_value=None,
        since_offset=7,
        since_time=time - HOUR,
        detected_offset=9,
        time=time,
        edges=(),
        labels=("a", "b"),
        reference=(5, 5),
        current=(9, 1),
        message=f"{subject} moved.",
        source=Source("", 0, 0),
    )


class Told:
    """A core, and the signals it has been told, numbered as the log would.

    Each fact comes from a topic of its class, at the next offset there; time passes on the wall only when said.
    """

    def __init__(self, *alerts: AlertRule | Route) -> None:
        self.core = AlertsCore(pipeline_of(*alerts))
        self.signals: list[Signal] = []
        self._offsets: dict[str, int] = {}
        self.wall = WALL

    def signal(self, fact: Fact | None, ends: dict[str, int] | None = None) -> Signal:
        """Return the next signal."""
        position = len(self.signals)
        if fact is None:
            source = Source(f"{NAME}.alert-signals", 0, position)
        else:
            topic = f"{NAME}.{type(fact).__name__.lower()}"
            self._offsets[topic] = self._offsets.get(topic, -1) + 1
            source = Source(topic, 0, self._offsets[topic])
        made = Signal(position, self.wall, source, fact, ends or {})
        self.signals.append(made)
        return made

    def step(self, fact: Fact | None, ends: dict[str, int] | None = None) -> Step:
        """Fold a fact; return all that came of it."""
        return self.core.step(self.signal(fact, ends))

    def tell(self, *facts: Fact | None) -> list[Alert]:
        """Fold facts; return the alerts."""
        return [alert for fact in facts for alert in self.step(fact).alerts]

    def pass_time(self, seconds: float) -> list[Alert]:
        """Let time pass on the wall, ticking every 5 seconds."""
        found: list[Alert] = []
        for _ in range(int(seconds // 5)):
            self.wall += 5_000
            found += self.tell(None)
        return found


def statuses(alerts: Sequence[Alert]) -> list[str]:
    """Return what became of incidents, in order."""
    return [alert.status for alert in alerts]


def levels(values: Sequence[float], start: int = START, step: int = HOUR) -> Iterator[Evaluation]:
    """Return evaluations with these values, an hour apart."""
    return (evaluation(value, start + number * step) for number, value in enumerate(values))
