"""Loading a pipeline file."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from riverrun.pipeline.attempts import Attempt
from riverrun.pipeline.errors import DefinitionError, LoadError
from riverrun.pipeline.locations import Location
from riverrun.pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load", "module_name"]

_PREFIX: Final = "riverrun_pipeline_"
_NULL_BYTES: Final = "cannot contain null bytes"


def module_name(path: Path | str) -> str:
    """Return the name under which a pipeline file is imported: that of the file, wherever it lies.

    Pickled models name the module of their classes, so it must be the same on every machine.

    Examples
    --------
    >>> module_name("/srv/app/flight-delay.py")
    'riverrun_pipeline_flight_delay'
    """
    return _PREFIX + re.sub(r"\W", "_", Path(path).stem)


def load(path: Path | str) -> Pipeline:
    """Run a pipeline file and return its pipeline.

    The file is imported as a module called :func:`module_name`; one loaded before under the same name makes
    way for it, unless it came from the same text at the same place, when it is used again, so that its
    classes stay the same. Its folder is put at the end of ``sys.path``: modules that lie beside it can be
    imported.

    Raises
    ------
    LoadError
        If it cannot be read or run, or does not hold exactly one :class:`Pipeline` at module level.
        ``location`` has the line, the cause the original exception.
    """
    file = Path(path).resolve()
    module = _run(file)
    found: dict[int, tuple[str, Pipeline]] = {}
    for name, value in vars(module).items():
        if isinstance(value, Pipeline):
            found.setdefault(id(value), (name, value))
    if len(found) == 1:
        return next(iter(found.values()))[1]
    if not found:
        raise LoadError(
            f"{file.name} has no Pipeline at module level",
            hint="write pipeline = Pipeline(...)",
            code="no-pipeline",
            location=Location(str(file), 1),
        )
    names = sorted(name for name, _ in found.values())
    second = sorted(each.location for _, each in found.values() if each.location is not None)[-1:]
    raise LoadError(
        f"{file.name} has {len(found)} pipelines: {', '.join(names)}",
        hint="keep one to a file",
        code="many-pipelines",
        location=second[0] if second else Location(str(file), 1),
    )


class _SourceLoader(SourceFileLoader):
    """Loads from source only: a compiled copy could be stale within the resolution of the clock."""

    def path_stats(self, path: str) -> Mapping[str, object]:
        raise OSError(f"no compiled copy of {path} is looked for")


def _run(file: Path) -> ModuleType:
    name = module_name(file)
    try:
        source = file.read_bytes()
    except OSError as error:
        raise LoadError(
            f"{file} cannot be read: {error.strerror or error}",
            hint="riverrun init NAME writes a new pipeline file",
            code="unreadable-file",
            location=Location(str(file), 1),
        ) from error
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__riverrun_source__", None) == (str(file), source):
        return known
    loader = _SourceLoader(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    if spec is None:
        raise LoadError(f"{file} is no Python file", code="unreadable-file", location=Location(str(file), 1))
    module = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    sys.modules[name] = module  # before it runs: dataclasses look themselves up there, and pickle does later
    complete = False
    try:
        with Attempt() as attempt:
            loader.exec_module(module)
        complete = attempt.error is None
    finally:
        if not complete:
            _restore(name, known)
    if attempt.error is not None:
        raise _explain(file, attempt) from attempt.error
    vars(module)["__riverrun_source__"] = (str(file), source)
    return module


def _restore(name: str, known: ModuleType | None) -> None:
    if known is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = known


def _explain(file: Path, attempt: Attempt) -> LoadError:
    """Turn whatever a pipeline file raised into one sentence and the line in the file."""
    error = attempt.error
    if isinstance(error, DefinitionError):
        location = error.location or _line_in(file, error)
        return LoadError(error.message, hint=error.hint, code=error.code, location=location)
    if isinstance(error, SyntaxError):
        location = Location(error.filename or str(file), error.lineno or 1)
        return LoadError(f"this is not Python: {error.msg}", code="syntax-error", location=location)
    if isinstance(error, ValueError) and _NULL_BYTES in str(error):
        # Python before 3.11.4 calls it so, and later ones a syntax error.
        return LoadError(f"this is not Python: {error}", code="syntax-error", location=Location(str(file), 1))
    code, hint = "file-fails", ""
    if isinstance(error, ImportError):
        code, hint = "import-fails", "install it where riverrun runs, or put the module beside the file"
    return LoadError(f"the file stops with {attempt.told}", hint=hint, code=code, location=_line_in(file, error))


def _line_in(file: Path, error: BaseException | None) -> Location:
    trace = None if error is None else error.__traceback__
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == str(file)]
    return Location(str(file), lines[-1] if lines and lines[-1] else 1)
