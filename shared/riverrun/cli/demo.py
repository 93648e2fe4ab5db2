"""``riverrun demo``: a year of real flights, from Kafka to predictions that learn."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from riverrun.cli.arguments import Json
from riverrun.cli.failures import telling
from riverrun.cli.output import ERR, OUT, Exit, emit_json
from riverrun.errors import UnavailableError

__all__ = ["demo"]

_MODULE = "examples.flights.demo"


@telling
def demo(
    events: Annotated[
        int | None, typer.Option(help="How many messages to publish; the whole year (1,034,283) without.", min=1)
    ] = None,
    folder: Annotated[Path, typer.Option("--in", help="Where data and results go.", file_okay=False)] = Path("build"),
    json: Json = False,
) -> None:
    """Replay a year of flights out of New York, predict, learn, verify, and draw what came of it.

    Publishes real flights with faults on purpose, runs the pipeline on them as fast as it goes, measures latency,
    checks every promise, and leaves demo.json and demo.png in the folder. Exit code 1 if a promise was broken.

    [bold]riverrun demo --events 100000[/bold]
    """
    logging.getLogger("riverrun").setLevel(logging.ERROR)
    module = _load()
    report = module.run_demo(module.DemoSettings(events, folder), ERR)
    if json:
        emit_json(report.as_json())
    else:
        report.print(OUT)
        OUT.print(f"\nfigures: {folder / 'demo.json'}\npicture: {report.picture}", markup=False)
    raise typer.Exit(Exit.OK if report.verified else Exit.FAILED)


def _load() -> Any:
    """Import the example, which is part of the repository and of no installed package."""
    try:
        return importlib.import_module(_MODULE)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.startswith("examples"):
            hint = "the flights example is in riverrun's repository: clone it and run `make demo` there"
        else:
            hint = "install riverrun with its demo extra: pip install 'riverrun[demo]'"
        raise UnavailableError(f"the demo needs the module {missing}, which is not installed", hint=hint) from error
