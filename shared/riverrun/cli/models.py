"""``riverrun models``: the published versions of a pipeline's models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import emit_json, fields, table
from riverrun.errors import RiverrunError
from riverrun.launch.session import open_session
from riverrun.records.items import ModelAlias, ModelVersion
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.settings import Settings

APP = typer.Typer(no_args_is_help=True, help="List and show published versions of models.")

_EVERYTHING = 1 << 40


def _published(deployment: Deployment) -> tuple[list[ModelVersion], list[ModelAlias]]:
    versions: list[ModelVersion] = []
    aliases: list[ModelAlias] = []
    for record in deployment.log.tail(deployment.topology.names[Kind.MODELS], 0, _EVERYTHING):
        item = deployment.wire.item(record)
        if isinstance(item, ModelVersion):
            versions.append(item)
        elif isinstance(item, ModelAlias):
            aliases.append(item)
    return versions, aliases


@APP.command("list")
@telling
def list_models(file: PipelineFile, json: Json = False) -> None:
    """List the versions that the log holds, and the aliases.

    [bold]riverrun models list flight_delay.py[/bold]
    """
    with open_session(file, Settings.from_environment()) as session:
        versions, aliases = _published(session.deployment)
    if json:
        emit_json({"versions": [_as_json(each) for each in versions], "aliases": [_alias(each) for each in aliases]})
        return
    rows = [
        (each.model, each.position, each.digest[:16], ", ".join(f"{k} {v:.4f}" for k, v in each.metrics.items()))
        for each in versions
    ]
    table("versions", ("model", "examples", "digest", "metrics"), rows)
    rows_of_aliases = [(each.alias, each.model, each.author, each.reason) for each in aliases]
    table("aliases", ("alias", "model", "author", "reason"), rows_of_aliases)


@APP.command()
@telling
def show(
    file: PipelineFile,
    model: Annotated[str, typer.Argument(help="The model's name, or an alias such as champion.")],
    position: Annotated[int | None, typer.Option(help="The version; the newest without.")] = None,
    json: Json = False,
) -> None:
    """Show one version: where it lies, what it is made of, how good it was.

    [bold]riverrun models show flight_delay.py champion[/bold]
    """
    with open_session(file, Settings.from_environment()) as session:
        versions, aliases = _published(session.deployment)
    if not versions:
        raise RiverrunError("no version of any model is published yet", hint="riverrun up FILE learns and publishes")
    name = next((each.model for each in reversed(aliases) if each.alias == model), model)
    found = [each for each in versions if each.model == name and position in (None, each.position)]
    if not found:
        known = sorted({each.model for each in versions} | {each.alias for each in aliases})
        at = [each.position for each in versions if each.model == name][-10:]
        raise RiverrunError(
            f"no version of {model!r} is published{'' if position is None else f' at {position}'}",
            hint=f"its last ones are at {', '.join(map(str, at))}" if at else f"published are: {', '.join(known)}",
        )
    if json:
        emit_json(_as_json(found[-1]))
    else:
        fields(f"{name} after {found[-1].position:,} examples", _as_json(found[-1]))


def _as_json(version: ModelVersion) -> dict[str, object]:
    document = asdict(version)
    document["source"] = f"{version.source.topic}/{version.source.partition}/{version.source.position}"
    return document


def _alias(alias: ModelAlias) -> dict[str, object]:
    return {"alias": alias.alias, "model": alias.model, "author": alias.author, "reason": alias.reason}
