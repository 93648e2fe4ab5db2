"""``riverrun asyncapi``: what a pipeline's topics hold, for those who read and write them with other tools."""

from __future__ import annotations

from riverrun import __version__
from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import emit_json
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import load
from riverrun.records.asyncapi import asyncapi_document

__all__ = ["asyncapi"]


@telling
def asyncapi(file: PipelineFile, json: Json = False) -> None:
    """Print the AsyncAPI 3 document of a pipeline's topics: their names, messages, headers and Avro schemas.

    The gateway serves the same at /asyncapi.json. No server is needed.

    [bold]riverrun asyncapi flight_delay.py > asyncapi.json[/bold]
    """
    # It is JSON whether or not that is asked for.
    del json
    emit_json(asyncapi_document(schemas_of(load(file)), __version__))
