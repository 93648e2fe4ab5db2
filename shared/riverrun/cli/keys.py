"""``riverrun keys``: make, list and revoke the API keys of the HTTP gateway."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from riverrun.api_keys import ApiKey, KeyFile, Scope, key_file_path
from riverrun.cli.arguments import Json
from riverrun.cli.failures import telling
from riverrun.cli.output import OUT, emit_json, table
from riverrun.errors import SettingsError
from riverrun.pipeline.durations import parse_duration
from riverrun.runtime.settings import Settings

APP = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke the API keys of the HTTP gateway.\n\n"
    "A key is shown once, when it is made; only a hash of it is kept. A running gateway takes notice within a second.",
)

_SCOPES = "; ".join(f"{scope}: {scope.explanation}" for scope in Scope)


def _file() -> KeyFile:
    return KeyFile(key_file_path(Settings.from_environment().data_folder))


def _now() -> int:
    return time.time_ns() // 1_000_000


@APP.command()
@telling
def make(
    name: Annotated[str, typer.Argument(help="Whom or what the key is for.")],
    scope: Annotated[list[Scope], typer.Option(help=f"What it allows; give it several times for several. {_SCOPES}")],
    expires: Annotated[str | None, typer.Option(metavar="DURATION", help="Such as 90d; never without.")] = None,
    json: Json = False,
) -> None:
    """Make a key and print it, this once.

    [bold]riverrun keys make billing --scope predict --scope read --expires 90d[/bold]
    """
    now = _now()
    until = 0 if expires is None else now + _milliseconds(expires)
    text = _file().make(name, scope, now=now, expires=until)
    if json:
        emit_json({"key": text, "id": text.split(".")[1], "name": name, "scopes": list(scope), "expires": until})
        return
    OUT.print(text, markup=False)


@APP.command("list")
@telling
def list_keys(json: Json = False) -> None:
    """List all keys ever made, without their secrets.

    [bold]riverrun keys list[/bold]
    """
    keys, now = _file().entries(), _now()
    if json:
        emit_json({"keys": [_as_json(key, now) for key in keys]})
        return
    rows = [
        (key.id, key.name, ", ".join(key.scopes), _day(key.created), _day(key.expires), _state(key, now))
        for key in keys
    ]
    table("API keys", ("id", "name", "scopes", "made", "expires", "state"), rows)


@APP.command()
@telling
def revoke(number: Annotated[str, typer.Argument(metavar="ID", help="As list prints it.")], json: Json = False) -> None:
    """Make a key useless, for good.

    [bold]riverrun keys revoke k3v7m2q4x5za[/bold]
    """
    now = _now()
    key = _file().revoke(number, now=now)
    if json:
        emit_json(_as_json(key, now))
    else:
        OUT.print(f"revoked {key.id} ({key.name})", markup=False)


def _milliseconds(text: str) -> int:
    milliseconds = parse_duration(text)
    if milliseconds <= 0:
        raise SettingsError(f"--expires is {text!r}", hint="give a duration such as 90d")
    return milliseconds


def _state(key: ApiKey, now: int) -> str:
    if key.revoked:
        return "revoked"
    return "valid" if key.is_valid(now) else "expired"


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d") if milliseconds else "never"


def _as_json(key: ApiKey, now: int) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "state": _state(key, now),
    }
