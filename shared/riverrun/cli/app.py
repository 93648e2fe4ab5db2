"""The command line: one module a command, put together here."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from riverrun import __version__
from riverrun.cli import access, asyncapi, check, dead_letters, demo, init, keys, models, publish, run, status, verify
from riverrun.cli.failures import tell
from riverrun.cli.output import Exit
from riverrun.errors import RiverrunError

APP = typer.Typer(
    name="riverrun",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Online machine learning on Kafka, exactly once.\n\n"
    "A pipeline file declares streams, features, a label and models; riverrun ingests the events, keeps the features, "
    "predicts, joins the labels that come later, and learns.\n\n"
    "Without settings it starts its own Kafka and Redis under .riverrun; RIVERRUN_KAFKA and RIVERRUN_REDIS name "
    "others.\n\n"
    "Exit codes: 0 fine, 1 something was found wrong, 2 wrong usage or settings, 69 a server or program is away.",
)

APP.command("init")(init.init)
APP.command("check")(check.check)
APP.command("up")(run.up)
APP.command("run")(run.run)
APP.command("publish")(publish.publish)
APP.command("status")(status.status)
APP.add_typer(dead_letters.APP, name="dead-letters")
APP.add_typer(models.APP, name="models")
APP.add_typer(keys.APP, name="keys")
APP.command("verify")(verify.verify)
APP.command("access")(access.access)
APP.command("asyncapi")(asyncapi.asyncapi)
APP.command("demo")(demo.demo)


def _show_version(value: bool) -> None:
    if value:
        sys.stdout.write(f"riverrun {__version__}\n")
        raise typer.Exit(Exit.OK)


@APP.callback()
def _options(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what happens, on standard error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def main() -> None:
    """Run the command line; every error of riverrun's own ends in one line and an exit code, never in a trace."""
    try:
        APP()
    except RiverrunError as error:
        sys.exit(tell(error, as_json=False))
