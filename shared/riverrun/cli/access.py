"""``riverrun access``: the users that a pipeline's services need on Kafka and Redis, and what each may do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import OUT, emit_json
from riverrun.embedded.addresses import Addresses, read_external_servers
from riverrun.errors import RiverrunError, SettingsError
from riverrun.launch.access_files import access_files
from riverrun.launch.access_grant import grant, keep_passwords
from riverrun.launch.rights import accounts_of
from riverrun.pipeline import load
from services.catalogue import STAGES

__all__ = ["access"]


@telling
def access(
    file: PipelineFile,
    folder: Annotated[
        Path | None, typer.Option("--to", help="Write the files here, and passwords into secrets/.", file_okay=False)
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Also make the users on the servers that RIVERRUN_KAFKA and _REDIS name.")
    ] = False,
    json: Json = False,
) -> None:
    """Print the users, and the least rights, that each service and tool needs on Kafka and Redis.

    As files for Kafka's and Redis's own tools, with settings for each service. No file holds a password: with --to, new
    ones are made up, one file a user. With --apply, users and rights are made with the credentials of the settings, an
    administrator's; what such a user had beside its rights is taken away. Then `riverrun status FILE`, run once as the
    operator, creates topics and publishes schemas.

    [bold]riverrun access flight_delay.py --to access[/bold]
    """
    if apply and folder is None:
        raise SettingsError("--apply needs passwords", hint="say where they are kept: --to FOLDER")
    pipeline = load(file)
    accounts = accounts_of(pipeline, STAGES)
    passwords = {} if folder is None else keep_passwords(folder / "secrets", accounts)
    files = access_files(pipeline.name, accounts, passwords)
    if apply:
        grant(accounts, _servers(), passwords)
    if folder is not None:
        _write(folder, files)
    if json:
        emit_json({"files": files, "users": {account.service: account.user for account in accounts}})
    elif folder is not None:
        OUT.print(f"{len(accounts)} users: {len(files)} files are in {folder}, passwords in {folder / 'secrets'}")
    else:
        for name, content in files.items():
            OUT.print(f"==> {name} <==\n{content}", markup=False)


def _write(folder: Path, files: dict[str, str]) -> None:
    try:
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise RiverrunError(f"the files cannot be written to {folder}: {error.strerror}") from None


def _servers() -> Addresses:
    servers = read_external_servers()
    if servers.kafka is None or servers.redis_url is None:
        raise SettingsError(
            "nothing says where to make the users", hint="set RIVERRUN_KAFKA and RIVERRUN_REDIS, as an administrator"
        )
    return Addresses(servers.kafka, servers.redis_url, embedded=False)
