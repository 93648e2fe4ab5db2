"""``riverrun init``: write a new pipeline to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riverrun.cli.arguments import Json
from riverrun.cli.output import OUT, emit_json
from riverrun.pipeline.template import write_new

__all__ = ["init"]


def init(
    name: Annotated[str, typer.Argument(help="The pipeline's name, such as flight-delay.")],
    folder: Annotated[Path, typer.Option("--in", help="Where to write it.", file_okay=False)] = Path(),
    json: Json = False,
) -> None:
    """Write a new pipeline file with its schemas and a few events, commented, ready to run."""
    files = write_new(name, folder)
    if json:
        emit_json({"files": [str(file) for file in files]})
        return
    for file in files:
        OUT.print(f"wrote {file}")
    OUT.print(f"\nNext: riverrun check {files[0]}")
