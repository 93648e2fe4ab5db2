"""``riverrun publish``: send events from a file to a pipeline's topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import ERR, OUT, Exit, emit_json, followed
from riverrun.launch.publishing import publish_lines
from riverrun.launch.session import open_session
from riverrun.runtime.settings import Settings

__all__ = ["publish"]

_SHOWN = 10


@telling
def publish(
    file: PipelineFile,
    events: Annotated[
        Path, typer.Argument(metavar="EVENTS", help="A file of JSON lines.", exists=True, dir_okay=False, readable=True)
    ],
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="The stream, or topic, of all lines: they are events alone then.")
    ] = None,
    json: Json = False,
) -> None:
    """Publish events from a file, each held to its stream's schema and the pipeline's rules first.

    A line is a JSON object with "topic" and "event", as [bold]riverrun init[/bold] writes them into events.jsonl. What
    is not acceptable is told with its line and not sent (exit code 1); the rest is.

    [bold]riverrun publish parcels.py events.jsonl[/bold]
    """
    with events.open("rb") as lines:
        total = sum(1 for _ in lines)
    with open_session(file, Settings.from_environment()) as session, events.open("rb") as lines:
        published = publish_lines(session, followed(lines, "publishing", total), stream)
    if json:
        refused = [{"line": each.number, "reason": each.reason, "detail": each.detail} for each in published.refused]
        emit_json({"sent": dict(published.sent), "refused": refused})
    else:
        for topic, count in published.sent.items():
            OUT.print(f"{count} events to {topic}", markup=False)
        for each in published.refused[:_SHOWN]:
            ERR.print(f"line {each.number} is not sent: {each.detail} ({each.reason})", markup=False)
        if (more := len(published.refused) - _SHOWN) > 0:
            ERR.print(f"and {more} lines more")
    raise typer.Exit(Exit.FAILED if published.refused else Exit.OK)
