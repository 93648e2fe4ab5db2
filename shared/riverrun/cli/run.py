"""``riverrun up`` and ``riverrun run``: run a pipeline's stages."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from riverrun.cli.arguments import PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import ERR
from riverrun.errors import RiverrunError, SettingsError
from riverrun.launch.bounded import become_bounded
from riverrun.launch.companion import companions_of
from riverrun.launch.progress import json_lines, progress_of
from riverrun.launch.service import run_stages
from riverrun.pipeline import load
from riverrun.pipeline.check import check_file
from riverrun.runtime.memory import Memory
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
    """Run everything for a pipeline file: Kafka and Redis if none are named, all stages, and alerts if there are rules.

    If the pipeline has alerts, the service that tells them runs beside, as a process of its own.

    Stops cleanly on Ctrl-C or SIGTERM; the next start goes on where this one ended, whatever ended it.
    With --json, one line of progress a second goes to standard output.

    [bold]riverrun up flight_delay.py[/bold]
    """
    _execute(file, list(STAGES.values()), chained=not separate, json=json, beside=True)


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
    memory: Annotated[
        str, typer.Option(help="What the process may use, as 256MB; the least recently seen entities go to disk then.")
    ] = "",
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
    if memory:
        Memory.parsed(memory)
        _refuse_problems(file)
        become_bounded(file, [definition.name for definition in chosen], memory, chained=not separate, as_json=json)
    _execute(file, chosen, chained=not separate, json=json)


def _execute(file: Path, stages: Sequence[StageDefinition], *, chained: bool, json: bool, beside: bool = False) -> None:
    settings = Settings.from_environment()
    _refuse_problems(file)
    logging.getLogger("riverrun").setLevel(logging.INFO)
    watch = json_lines if json else _line if sys.stderr.isatty() else None
    companions = companions_of(file, settings.data_folder) if beside else ()
    code = run_stages(file, stages, settings, chained=chained, watch=watch, companions=companions)
    raise typer.Exit(code)


def _refuse_problems(file: Path) -> None:
    """Raise if the check finds an error: what the pipeline would write could not be taken back."""
    load(file)  # first, since a file that cannot be loaded tells of itself better than a list of one problem does
    problems = [problem for problem in check_file(file) if problem.severity == "error"]
    if problems:
        raise RiverrunError(
            f"the pipeline has {len(problems)} problem(s): {problems[0]}", hint=f"riverrun check {file} tells all"
        )


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
        state = progress_of(worker)
        latency = state["latency_ms"]
        live.update(
            f"partitions {state['partitions']}  {state['records']:,} records  {rate:,.0f}/s  latency {latency}  "
            f"{state['trouble']}",
            refresh=True,
        )
        return False

    return show
