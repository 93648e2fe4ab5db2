"""Names that stand twice in one dict of a pipeline file: Python keeps the last one and says nothing.

The pipeline itself cannot tell, since the first feature of that name is gone before it is made. So the file is read
once more, as text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from riverrun.pipeline.locations import Location
from riverrun.pipeline.problems import Problem

__all__ = ["check_duplicates"]


def check_duplicates(file: Path) -> Iterator[Problem]:
    """Check every dict that a file writes out, whatever it is for; the file can be parsed, or was not loaded."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Dict):
            yield from _check_dict(node, file)


def _check_dict(node: ast.Dict, file: Path) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for key in node.keys:
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            continue
        if key.value in first:
            yield Problem(
                "duplicate-name",
                f"the name {key.value!r} stands twice in one dict, so what it meant on line {first[key.value]} is lost",
                "rename one",
                Location(str(file), key.lineno),
            )
        first.setdefault(key.value, key.lineno)
