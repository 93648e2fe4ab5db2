"""``riverrun init``: write a new pipeline to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riverrun.cli.arguments import Json
from riverrun.cli.failures import telling
from riverrun.cli.output import OUT, emit_json
from riverrun.errors import RiverrunError, SettingsError
from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.template import write_new

__all__ = ["init"]


@telling
def init(
    name: Annotated[str, typer.Argument(help="The pipeline's name, such as flight-delay.")],
    folder: Annotated[Path, typer.Option("--in", help="Where to write it.", file_okay=False)] = Path(),
    json: Json = False,
) -> None:
    """Write a new pipeline file with its schemas and a few events, commented, ready to run.

    [bold]riverrun init flight-delay --in pipelines[/bold]
    """
    try:
        files = write_new(name, folder)
    except DefinitionError as error:
        if error.code == "bad-name":
            raise SettingsError(error.message, hint=error.hint) from error
        # The line that an error of definition comes from would be one of ours here.
        raise RiverrunError(error.message, hint=error.hint) from error
    if json:
        emit_json({"files": [str(file) for file in files]})
        return
    for file in files:
        OUT.print(f"wrote {file}", markup=False)
    OUT.print(f"\nNext: riverrun check {files[0]}", markup=False)
