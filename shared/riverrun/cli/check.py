"""``riverrun check``: say what is wrong with a pipeline file."""

from __future__ import annotations

from pathlib import Path

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import OUT, Exit, emit_json
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import load
from riverrun.pipeline.check import Problem, check_file
from riverrun.records.ids import derived_id

__all__ = ["check"]


@telling
def check(file: PipelineFile, json: Json = False) -> None:
    """Find what is wrong with a pipeline file before it runs.

    Unknown fields, wrong types, features that could contain the label, unusable keys, windows that do not divide,
    models that fail on a dry run, and more. Exit code 1 if there are errors; warnings are for you to judge. With
    --json, also prints the schema ids that producers frame their Avro messages with.

    [bold]riverrun check flight_delay.py[/bold]
    """
    problems = check_file(file)
    errors = [problem for problem in problems if problem.severity == "error"]
    if json:
        document: dict[str, object] = {"problems": [_as_json(problem) for problem in problems]}
        if not errors:
            definition = schemas_of(load(file))
            document["schema_ids"] = {stream.topic: derived_id(stream.schema) for stream in definition.streams}
            document["feature_set"] = definition.vector.version
        emit_json(document)
    else:
        for problem in problems:
            OUT.print(str(problem), markup=False)
        OUT.print(_verdict(file, len(errors), len(problems) - len(errors)), markup=False)
    raise typer.Exit(Exit.FAILED if errors else Exit.OK)


def _verdict(file: Path, errors: int, warnings: int) -> str:
    if errors:
        return f"{file}: {errors} problem(s)" + (f", {warnings} warning(s)" if warnings else "")
    return f"{file} can run, with {warnings} warning(s)" if warnings else f"{file} is fine"


def _as_json(problem: Problem) -> dict[str, object]:
    place = problem.location
    return {
        "code": problem.code,
        "severity": problem.severity,
        "message": problem.message,
        "hint": problem.hint,
        "file": place.file if place is not None else None,
        "line": place.line if place is not None else None,
    }
