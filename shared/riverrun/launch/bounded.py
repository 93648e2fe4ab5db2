"""Runs stages of a pipeline file in little memory: what ``riverrun run --memory`` turns into.

It takes a fresh interpreter, since what modules, the allocator's arenas and the first look at the pipeline file have
taken is never given back: only what the stages need is imported here, and River's largest dependencies not until a
model uses them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from riverrun.deferred_imports import deferred
from riverrun.errors import RiverrunError
from riverrun.launch.memory_guard import MemoryGuard

__all__ = ["become_bounded"]

_DEFERRED: Final = ("pandas", "scipy")
_ABSENT: Final = ("sklearn",)
"""Only River's wrappers of its estimators need it, and no model may be made of those."""

EXIT_EXCEEDED: Final = 1
"""It took more memory than it was given. Nothing is lost; the next start goes on."""

_ALLOCATOR: Final = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""glibc gives every thread an arena of its own, and librdkafka has dozens of threads."""


def become_bounded(file: Path, stages: Sequence[str], memory: str, *, chained: bool, as_json: bool) -> NoReturn:
    """Turn this process into one that runs these stages of a pipeline file within ``memory``.

    Process id, environment, working directory and open files stay as they are.

    Parameters
    ----------
    file
        The pipeline file.
    stages
        Names of stages.
    memory
        As people write it: ``256MB``.
    chained
        False to put the log between all of them.
    as_json
        Whether progress, and an error, go to standard output as JSON.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    options = [*([] if chained else ["--separate"]), *(["--json"] if as_json else [])]
    command = [sys.executable, "-P", "-m", "riverrun.launch.bounded", *options, str(file), *stages]
    os.execve(sys.executable, command, {**_ALLOCATOR, **os.environ, "RIVERRUN_MEMORY": memory})


def main(arguments: Sequence[str]) -> int:
    """Run what `become_bounded` names; return the exit code."""
    options = {each for each in arguments if each.startswith("--")}
    file, *names = [each for each in arguments if each not in options]
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("riverrun").setLevel(logging.INFO)
    # For as long as it runs: a model that is restored may name a module of River's that was not imported before.
    with deferred(_DEFERRED, _ABSENT):
        try:
            return _run(Path(file), names, options)
        except RiverrunError as error:
            if "--json" in options:
                sys.stdout.write(json.dumps({"error": error.message, "hint": error.hint}, indent=2) + "\n")
            else:
                sys.stderr.write(f"error: {error}\n")
            code: int = import_module("riverrun.launch.process").exit_code_of(error)
            return code


def _run(file: Path, names: Sequence[str], options: set[str]) -> int:
    stages = import_module("services.catalogue").STAGES
    settings = import_module("riverrun.runtime.settings").Settings.from_environment()
    guard = MemoryGuard(settings.memory.limit)
    progress = import_module("riverrun.launch.progress").json_lines if "--json" in options else None

    def watch(worker: object) -> Callable[[float], bool]:
        show = progress(worker) if progress is not None else None
        return lambda wait: guard.look(wait) or (show is not None and bool(show(wait)))

    code: int = import_module("riverrun.launch.service").run_stages(
        file, [stages[name] for name in names], settings, chained="--separate" not in options, watch=watch
    )
    return EXIT_EXCEEDED if guard.exceeded else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
