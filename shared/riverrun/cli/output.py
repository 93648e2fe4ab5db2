"""How commands speak: tables and words for people, one JSON document for machines, exit codes for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from riverrun.launch.process import EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_USAGE

_Item = TypeVar("_Item")

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    FAILED = EXIT_FAILED
    """It ran and found something wrong: problems in a pipeline file, a broken promise."""
    USAGE = EXIT_USAGE
    """The command line or a setting is wrong."""
    UNAVAILABLE = EXIT_UNAVAILABLE
    """Kafka, Redis or a program that is needed is away (``EX_UNAVAILABLE``)."""


def emit_json(document: object) -> None:
    """Print one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=False, default=str) + "\n")
    sys.stdout.flush()


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers are set to the right."""
    grid = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # As text, not as markup: dead letters quote strangers, whose brackets are no styles of ours.
        grid.add_row(*(Text(_cell(value)) for value in row))
    OUT.print(grid)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return printable(str(value))


def printable(text: str) -> str:
    r"""Return a text with what would command a terminal written out.

    Examples
    --------
    >>> printable("Zürich\x1b[2J")
    'Zürich\\x1b[2J'
    """
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def fields(title: str, pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    OUT.print(Text(title, style="bold"))
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        OUT.print(f"  {name:<{width}}  {_cell(value)}", markup=False)


def followed(items: Iterable[_Item], what: str, total: int) -> Iterator[_Item]:
    """Pass items through; on a terminal, standard error shows how far this has come.

    Parameters
    ----------
    items
        What is worked through.
    what
        What is done, for people.
    total
        About how many items there are.
    """
    if not ERR.is_terminal:
        yield from items
        return
    yield from track(items, what, total=max(total, 1), console=ERR, transient=True)
