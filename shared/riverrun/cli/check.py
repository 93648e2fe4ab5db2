"""``riverrun check``: say what is wrong with a pipeline file."""

from __future__ import annotations

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.output import OUT, Exit, emit_json
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import load
from riverrun.pipeline.check import Problem, check_file
from riverrun.records.ids import derived_id

__all__ = ["check"]


def check(file: PipelineFile, json: Json = False) -> None:
    """Find what is wrong with a pipeline file before it runs.

    Unknown fields, wrong types, features that could contain the label, unusable keys, windows that do not divide,
    models that fail on a dry run, and more. Exit code 1 if anything was found. With --json, also prints the schema ids
    that producers frame their Avro messages with.
    """
    problems = check_file(file)
    if json:
        document: dict[str, object] = {"problems": [_as_json(problem) for problem in problems]}
        if not problems:
            definition = schemas_of(load(file))
            document["schema_ids"] = {stream.topic: derived_id(stream.schema) for stream in definition.streams}
            document["feature_set"] = definition.vector.version
        emit_json(document)
    else:
        for problem in problems:
            OUT.print(str(problem), markup=False)
        OUT.print(f"{file}: {len(problems)} problem(s)" if problems else f"{file} is fine", markup=False)
    raise typer.Exit(Exit.FAILED if problems else Exit.OK)


def _as_json(problem: Problem) -> dict[str, object]:
    place = problem.location
    return {
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "file": place.file if place is not None else None,
        "line": place.line if place is not None else None,
    }
