"""Calls the command line in this process, and tells what it printed and how it ended."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

from typer.testing import CliRunner

from riverrun.cli.app import APP

SERVERS = ("RIVERRUN_KAFKA", "RIVERRUN_KAFKA_OPTIONS", "RIVERRUN_KAFKA_CONFIG", "RIVERRUN_REDIS")


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed to standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


def run(*arguments: object, environment: Mapping[str, str] | None = None) -> Ran:
    """Run ``riverrun`` with these arguments; an exception that escapes fails the test with its trace."""
    settings: dict[str, str | None] = {**dict.fromkeys(SERVERS), "COLUMNS": "200", **(environment or {})}
    result = CliRunner().invoke(APP, [str(each) for each in arguments], env=settings)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError("".join(traceback.format_exception(result.exception)))
    return Ran(result.exit_code, result.stdout, result.stderr)
