"""The demo: a year of real flights through a real Kafka, predicted, learned, checked and drawn.

`run_demo` does what a team would do with its own topics: publish events, run the pipeline file, look at it from
outside, and verify.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from examples.flights.alerts import running_alerts
from examples.flights.children import RIVERRUN, Child, start_publisher, start_stages, wait_for
from examples.flights.display import Display
from examples.flights.drift import running_drift
from examples.flights.latency import LatencyWatch
from examples.flights.monitor import Monitor
from examples.flights.outcomes import Outcomes
from examples.flights.picture import draw
from examples.flights.publish import YEAR_MESSAGES
from examples.flights.quality import measure
from examples.flights.report import Measurements, Report
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.embedded import Addresses, open_cluster
from riverrun.errors import RiverrunError, SettingsError
from riverrun.launch.connect import connect
from riverrun.launch.survey import survey
from riverrun.pipeline import Pipeline, load
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings

PIPELINE_FILE: Final = Path(__file__).with_name("pipeline.py")
_STAGES: Final = ("ingest", "features", "score", "labels", "learn")
_FEWEST: Final = 1_000
_STEADY: Final = 10_000
_STEADY_SHARE: Final = 10
_LEAD: Final = 20_000
_SETTLE_S: Final = 1.5
_LIMIT_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """How long a demo, and where.

    Parameters
    ----------
    events
        Messages to publish; None for the whole year.
    folder
        Where everything goes: data into ``demo/`` (replaced), results beside it.
    """

    events: int | None = None
    folder: Path = Path("build")


def run_demo(settings: DemoSettings, console: Console) -> Report:
    """Run the demo; return its report, written and drawn.

    Raises
    ------
    RiverrunError
        If a server cannot be had, a process fails, or the topics of an earlier run are in the way.
    """
    began = time.monotonic()
    total = YEAR_MESSAGES
    if settings.events is not None:
        if settings.events < _FEWEST:
            raise SettingsError(f"{settings.events} events are too few", hint=f"give at least {_FEWEST:,}")
        total = min(total, settings.events)
    data = settings.folder / "demo"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    with open_cluster(data) as cluster:
        pipeline = load(PIPELINE_FILE)
        _make_topics(pipeline, cluster.addresses)
        deployment = connect(pipeline, cluster.addresses, Settings(data_folder=data))
        run = _Run(deployment, cluster.addresses, data, total)
        with Display(console) as display:
            measurements, outcomes = run.replay(display, began)
            display.say("all folded; now every promise is checked (riverrun verify)")
        with (
            running_drift(deployment, PIPELINE_FILE, run.environment, data / "drift.log") as drift,
            running_alerts(
                deployment, cluster.addresses, PIPELINE_FILE, run.environment, data / "alerts.log"
            ) as alerts,
        ):
            verdict = _verify(run.environment, console)
            drift_mb = drift.finish()
            told = alerts.finish()
        report = Report(
            measurements=replace(measurements, memory_mb={**measurements.memory_mb, "drift": round(drift_mb, 1)}),
            survey=survey(deployment),
            quality=measure(outcomes),
            digest=_digest(verdict, pipeline.champion.name),
            verified=verdict.get("verified") is True,
            picture=settings.folder / "demo.png",
            told=told,
        )
        deployment.log.close()
    draw(outcomes, report.quality, report.picture)
    report.write(settings.folder / "demo.json")
    return report


def _make_topics(pipeline: Pipeline, addresses: Addresses) -> None:
    """Create the producers' topics; their timestamps are those of the append, from which latency is measured."""
    log = KafkaLog(dict(addresses.kafka))
    try:
        config = {"message.timestamp.type": "LogAppendTime"}
        log.ensure_topics([TopicSpec(stream.topic, 1, config=config) for stream in pipeline.streams])
        used = [stream.topic for stream in pipeline.streams if log.high_watermark(stream.topic, 0) > 0]
    finally:
        log.close()
    if used:
        raise RiverrunError(
            f"these topics hold events already: {', '.join(used)}",
            hint=f"delete them and all topics {pipeline.name}.*, or unset RIVERRUN_KAFKA for a Kafka of the demo's own",
        )


_Condition = Callable[[], bool]


class _Run:
    """One replay: the publisher and the pipeline at work, looked at from outside."""

    def __init__(self, deployment: Deployment, addresses: Addresses, data: Path, total: int) -> None:
        # A replay reads several topics far faster than they were written: waiting a moment for one that looks
        # empty keeps the order that of event time.
        replay = {"RIVERRUN_IDLE_LIMIT_MS": "25"}
        self.environment = {**addresses.as_environment(), "RIVERRUN_DATA": str(data), **replay}
        self._deployment = deployment
        self._data = data
        self._total = total
        self._steady = min(_STEADY, total // _STEADY_SHARE)
        self._quarter_mb = 0.0

    def replay(self, display: Display, began: float) -> tuple[Measurements, Outcomes]:
        """Publish and fold everything; return what was measured, and how the predictions turned out."""
        bulk = self._total - self._steady
        codecs = self._deployment.wire.codecs
        ids = {stream.topic: codecs.stream_id(stream.name) for stream in codecs.streams}
        monitor = Monitor(self._deployment, self._total)
        logs = self._data / "publisher.log", self._data / "pipeline.log"
        with start_publisher(self._total, self._steady, ids, self.environment, logs[0]) as publisher:
            # With a lead the publisher, which is faster, is never caught up with: the order is that of event time.
            self._await(lambda: publisher.number("published") >= min(_LEAD, bulk), publisher)
            started = time.monotonic()
            with start_stages("pipeline", PIPELINE_FILE, _STAGES, self.environment, logs[1]) as pipeline:
                first = self._fold(monitor, display, (publisher, pipeline), bulk)
                seconds = time.monotonic() - started
                latency = self._measure_latency(monitor, display, (publisher, pipeline))
                memory = self._memory(pipeline)
                code = pipeline.stop()
        if code:
            raise RiverrunError(f"the pipeline did not stop cleanly: exit code {code}", hint=f"see {logs[1]}")
        outcomes = monitor.outcomes()
        monitor.close()
        measured = Measurements(self._total, seconds, bulk, first - began, latency, memory)
        return measured, outcomes

    def _await(self, done: _Condition, *children: Child) -> None:
        wait_for(lambda: done() or None, *children, what="the demo", see=f"the logs in {self._data}", limit_s=_LIMIT_S)

    def _fold(self, monitor: Monitor, display: Display, children: tuple[Child, Child], wanted: int) -> float:
        """Watch until so many messages are folded; return when the first prediction was there."""
        first = 0.0

        def folded() -> bool:
            nonlocal first
            moment = monitor.look(*children)
            display.show(moment)
            if monitor.first_prediction and not first:
                first = time.monotonic()
            if moment.folded >= wanted // 4 and not self._quarter_mb:
                self._quarter_mb = moment.memory_mb
            return moment.folded >= wanted

        self._await(folded)
        return first

    def _measure_latency(
        self, monitor: Monitor, display: Display, children: tuple[Child, Child]
    ) -> Mapping[str, float]:
        publisher, _ = children
        self._await(lambda: publisher.says("bulk"), publisher)
        time.sleep(_SETTLE_S)  # What the replay left to be written is not what is measured.
        watch = LatencyWatch(self._deployment, self._deployment.pipeline.predict_on.topic)
        display.say(f"replayed; the last {self._steady:,} messages now come at 1,000 a second, to measure latency")
        publisher.tell("go")
        self._fold(monitor, display, children, self._total)
        self._await(lambda: publisher.says("done"), publisher)
        return watch.close()

    def _memory(self, pipeline: Child) -> Mapping[str, float]:
        end = pipeline.memory_mb()
        figures = {"quarter": self._quarter_mb, "end": end, "peak": pipeline.peak_mb}
        return {name: round(value, 1) for name, value in figures.items()}


def _verify(environment: Mapping[str, str], console: Console) -> Mapping[str, object]:
    """Run ``riverrun verify``; return what it found, after showing what is wrong."""
    result = subprocess.run(
        [*RIVERRUN, "verify", str(PIPELINE_FILE), "--json"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        found = json.loads(result.stdout)
    except ValueError:
        raise RiverrunError(f"riverrun verify failed with exit code {result.returncode}") from None
    if result.returncode:
        console.print(result.stdout, markup=False)
    return {**found, "verified": result.returncode == 0} if isinstance(found, dict) else {}


def _digest(verdict: Mapping[str, object], champion: str) -> str:
    """Return the champion's digest after the last example, as the auditor's own fold found it."""
    digests = verdict.get("digests")
    return str(digests.get(champion, "")) if isinstance(digests, dict) else ""
