"""How a command ends when it cannot do what was asked: one line or one JSON document, and an exit code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer
from rich.text import Text

from riverrun.cli.output import ERR, emit_json, printable
from riverrun.errors import RiverrunError, UnavailableError
from riverrun.launch.process import exit_code_of
from riverrun.pipeline.errors import DefinitionError

__all__ = ["tell", "telling"]

_Parameters = ParamSpec("_Parameters")


def telling(command: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Make a command end every error of riverrun's own in words.

    Parameters
    ----------
    command
        A command. If it was called with ``json=True``, the error is its JSON document: scripts read one document from
        standard output whatever happens.
    """

    @functools.wraps(command)
    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RiverrunError as error:
            raise typer.Exit(tell(error, as_json=bool(kwargs.get("json")))) from error

    return run


def tell(error: RiverrunError, *, as_json: bool) -> int:
    """Print an error, for a person or for a program, and return the exit code."""
    place = error.location if isinstance(error, DefinitionError) else None
    if as_json:
        document: dict[str, object] = {"error": error.message, "hint": error.hint}
        if place is not None:
            document |= {"file": place.file, "line": place.line}
        emit_json(document)
    else:
        kind = "unavailable: " if isinstance(error, UnavailableError) else "error: "
        where = f"{place.file}:{place.line}: " if place is not None else ""
        # As text, not as markup: messages quote files and strangers' records, which may hold brackets.
        ERR.print(Text.assemble((kind, "red"), printable(f"{where}{error}")))
    return exit_code_of(error)
