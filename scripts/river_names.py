"""Writes the exact names of River that a model's snapshot may hold, as read by ``riverrun.models.names``.

Run it when River's locked version changes (``.venv/bin/python scripts/river_names.py``), and read the difference: each
new line is something that a signed snapshot may bring to life.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import river

LIST = Path(__file__).parents[1] / "shared" / "riverrun" / "models" / "river_names.txt"

HEAD = "# Exact names that a snapshot may hold, written by scripts/river_names.py for River "

BARRED = ("api", "checks", "compat", "conftest", "datasets", "envs", "evaluate", "stream", "typing", "viz")
"""Parts of River, at whatever depth, that hold no state of models, but reach for files, networks and screens."""

FUNCTIONS = (
    ("river._river_rust.vectordict", "euclidean_distance_dict"),
    ("river._river_rust.vectordict", "euclidean_distance_tuple"),
    ("river.feature_extraction.vectorize", "find_all_ngrams"),
    ("river.feature_extraction.vectorize", "find_ngrams"),
    ("river.feature_extraction.vectorize", "remove_stop_words"),
    ("river.feature_extraction.vectorize", "strip_accents_unicode"),
    ("river.feature_extraction.vectorize", "tokenize_using_regex_pattern"),
    ("river.metrics.mutual_info", "_average_arithmetic"),
    ("river.metrics.mutual_info", "_average_geometric"),
    ("river.multiclass.occ", "l1_dist"),
    ("river.utils.math", "minkowski_distance"),
)
"""Functions that estimators keep among their attributes: these few, as most of River's never are."""


def main() -> int:
    """Write the list."""
    lines = [f"{module} {name}" for module, name in sorted(names())]
    LIST.write_text("\n".join([HEAD + version("river"), *lines, ""]), encoding="utf-8")
    print(f"{LIST.name}: {len(lines)} names of River {version('river')}")
    return 0


def names() -> set[tuple[str, str]]:
    """Return module and name of every class that River itself defines for models, and of the functions."""
    return {pair for module in _modules() for pair in _classes(module)} | set(FUNCTIONS)


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(river.__path__, "river."):
        if _is_barred(found.name):
            continue
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError:
            # It needs a package that riverrun does not bring, so no model here is made of it.
            continue
    # River's part in Rust has modules that no file tells of.
    for name in sorted(sys.modules):
        if name.startswith("river.") and not _is_barred(name):
            yield sys.modules[name]


def _is_barred(module: str) -> bool:
    return any(part in BARRED or part.startswith("test_") for part in module.split("."))


def _classes(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        # What is only imported there is defined elsewhere, and listed there or not at all. No metaclasses.
        if not isinstance(value, type) or issubclass(value, type):
            continue
        if (value.__module__, value.__qualname__) == (module.__name__, name):
            yield module.__name__, name


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
