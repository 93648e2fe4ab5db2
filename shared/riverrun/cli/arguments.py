"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PipelineFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The pipeline file.", exists=True, dir_okay=False, readable=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text; an error too.")]
