"""``riverrun up`` and ``riverrun run``: run a pipeline's stages."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.live import Live

from riverrun.cli.arguments import PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import ERR
from riverrun.errors import RiverrunError, SettingsError
from riverrun.launch.service import run_stages
from riverrun.pipeline import load
from riverrun.pipeline.check import check_file
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.worker import Worker
from services.catalogue import STAGES

__all__ = ["run", "up"]

Lines = Annotated[
    bool, typer.Option("--json", help="Print progress as JSON, one document a line and second; an error too.")
]


@telling
def up(
    file: PipelineFile,
    separate: Annotated[
        bool, typer.Option("--separate", help="Put the log between all stages instead of chaining them.")
    ] = False,
    json: Lines = False,
) -> None:
    """Run everything for a pipeline file: Kafka and Redis if none are named, and all five stages.

    Stops cleanly on Ctrl-C or SIGTERM; the next start goes on where this one ended, whatever ended it.
    With --json, one line of progress a second goes to standard output.

    [bold]riverrun up flight_delay.py[/bold]
    """
    _execute(file, list(STAGES.values()), chained=not separate, json=json)


@telling
def run(
    file: PipelineFile,
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="STAGE...", help=f"Some of: {', '.join(STAGES)}.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All stages.")] = False,
    separate: Annotated[
        bool, typer.Option("--separate", help="Put the log between all stages instead of chaining them.")
    ] = False,
    json: Lines = False,
) -> None:
    """Run some stages of a pipeline file as one process.

    Neighbouring stages are chained: they share one transaction, without a hop through the log. Start the same command
    several times to share the partitions among members.

    [bold]riverrun run flights.py ingest features score[/bold]
    """
    wanted = set(STAGES) if everything else set(stages or ())
    unknown = sorted(wanted - set(STAGES))
    if unknown or not wanted:
        what = f"no stage is called {', '.join(unknown)}" if unknown else "no stage is named"
        raise SettingsError(what, hint=f"name some of {', '.join(STAGES)}, or --all")
    chosen = [definition for name, definition in STAGES.items() if name in wanted]
    _execute(file, chosen, chained=not separate, json=json)


def _execute(file: Path, stages: Sequence[StageDefinition], *, chained: bool, json: bool) -> None:
    settings = Settings.from_environment()
    _refuse_problems(file)
    logging.getLogger("riverrun").setLevel(logging.INFO)
    watch = _json_lines if json else _line if sys.stderr.isatty() else None
    code = run_stages(file, stages, settings, chained=chained, watch=watch)
    raise typer.Exit(code)


def _refuse_problems(file: Path) -> None:
    """Raise if the check finds an error: what the pipeline would write could not be taken back."""
    load(file)  # first, since a file that cannot be loaded tells of itself better than a list of one problem does
    problems = [problem for problem in check_file(file) if problem.severity == "error"]
    if problems:
        raise RiverrunError(
            f"the pipeline has {len(problems)} problem(s): {problems[0]}", hint=f"riverrun check {file} tells all"
        )


def _state(worker: Worker) -> dict[str, object]:
    tasks = worker.tasks()
    latency = [value for task in tasks if (value := task.latency.percentiles())]
    return {
        "partitions": sorted({task.partition for task in tasks}),
        "records": sum(task.folded for task in tasks),
        "latency_ms": {name: max(each[name] for each in latency) for name in ("p50", "p99")} if latency else {},
        "trouble": worker.trouble,
    }


def _json_lines(worker: Worker) -> Callable[[float], bool]:
    last = 0.0

    def show(wait: float) -> bool:
        nonlocal last
        del wait
        now = time.monotonic()
        if now - last >= 1.0:
            last = now
            sys.stdout.write(orjson.dumps(_state(worker)).decode() + "\n")
            sys.stdout.flush()
        return False

    return show


def _line(worker: Worker) -> Callable[[float], bool]:
    live = Live(console=ERR, transient=True, auto_refresh=False)
    live.start()
    before, at = 0, time.monotonic()
    rate = 0.0

    def show(wait: float) -> bool:
        nonlocal before, at, rate
        del wait
        now = time.monotonic()
        if now - at >= 1.0:
            records = sum(task.folded for task in worker.tasks())
            rate, before, at = (records - before) / (now - at), records, now
        state = _state(worker)
        latency = state["latency_ms"]
        live.update(
            f"partitions {state['partitions']}  {state['records']:,} records  {rate:,.0f}/s  latency {latency}  "
            f"{state['trouble']}",
            refresh=True,
        )
        return False

    return show
