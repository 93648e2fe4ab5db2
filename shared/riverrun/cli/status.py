"""``riverrun status``: how a pipeline stands."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Annotated

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import OUT, emit_json, fields, table
from riverrun.launch.session import open_session
from riverrun.launch.survey import Survey, survey
from riverrun.runtime.settings import Settings

__all__ = ["status"]


@telling
def status(
    file: PipelineFile,
    interval: Annotated[float, typer.Option(help="Seconds between the two looks that give the rates.", min=0.0)] = 1.0,
    json: Json = False,
) -> None:
    """Show lag, rates, latency, what is degraded, model versions and the label ledger.

    [bold]riverrun status flight_delay.py --json[/bold]
    """
    with open_session(file, Settings.from_environment()) as session:
        before = survey(session.deployment)
        if interval > 0:
            threading.Event().wait(interval)
        now = survey(session.deployment) if interval > 0 else before
    rates = _rates(before, now, interval)
    if json:
        emit_json(now.as_json() | {"rates": {f"{stage}[{number}]": rate for (stage, number), rate in rates.items()}})
        return
    if not now.stages:
        OUT.print(f"{now.pipeline}: no stage has run yet; `riverrun up {file}` runs all", markup=False)
        return
    rows = [
        (
            f"{each.stage}[{each.partition}]",
            each.folded,
            each.lag,
            round(rates.get((each.stage, each.partition), 0.0)),
            each.latency_ms.get("p50", 0.0),
            each.latency_ms.get("p99", 0.0),
            _time(each.watermark),
        )
        for each in now.stages
    ]
    table(now.pipeline, ("stage", "folded", "lag", "per second", "p50 ms", "p99 ms", "watermark"), rows)
    for each in now.degraded():
        known = each.degradation
        told = f"{known.explanation} {known.still}" if known is not None else "This version does not know the code."
        OUT.print(f"degraded: {each.what} at {each.where} since {_time(each.since)} UTC. {told}", markup=False)
    fields("label ledger", dict(now.ledger()))
    versions = [
        (name, version.position, version.digest[:16], ", ".join(f"{k} {v:.4f}" for k, v in version.metrics.items()))
        for name, version in now.versions.items()
    ]
    table("models", ("model", "examples", "digest", "metrics"), versions)
    fields("aliases", dict(now.aliases))


def _rates(before: Survey, now: Survey, interval: float) -> dict[tuple[str, int], float]:
    earlier = {(each.stage, each.partition): each.folded for each in before.stages}
    return {
        (each.stage, each.partition): (each.folded - earlier.get((each.stage, each.partition), 0)) / interval
        for each in now.stages
        if interval > 0
    }


def _time(watermark: int) -> str:
    return datetime.fromtimestamp(watermark / 1000, UTC).strftime("%Y-%m-%d %H:%M") if watermark else "-"
