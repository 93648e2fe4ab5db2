"""The fixed record types' Avro schemas, every version of them, and the manifest that gives them their ids.

``<name>.avsc`` is the current version, ``history/<name>/<n>.avsc`` every version ever committed (the newest equals the
current one), and ``manifest.json`` the append-only list of ids. To change a schema: edit it, copy it to the next number
in its history, append a line to the manifest; the tests refuse anything that is not fully compatible with all before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["FixedSchema", "current", "history", "manifest", "names"]

AvroRecord = dict[str, object]


@dataclass(frozen=True, slots=True)
class FixedSchema:
    """One line of the manifest, with the schema that it points at."""

    id: int
    subject: str
    version: int
    schema: AvroRecord


def names() -> tuple[str, ...]:
    """Return the names of the fixed record types.

    Examples
    --------
    >>> "prediction" in names()
    True
    """
    suffix = ".avsc"
    return tuple(sorted(entry.name[: -len(suffix)] for entry in _root().iterdir() if entry.name.endswith(suffix)))


def current(name: str) -> AvroRecord:
    """Return the current version of a record type's schema.

    Examples
    --------
    >>> current("model_alias")["name"]
    'ModelAlias'
    """
    return _read(_root() / f"{name}.avsc")


def history(name: str) -> tuple[AvroRecord, ...]:
    """Return every version ever committed of a record type's schema, oldest first."""
    versions = {int(entry.name.partition(".")[0]): entry for entry in (_root() / "history" / name).iterdir()}
    return tuple(_read(versions[number]) for number in sorted(versions))


def manifest() -> tuple[FixedSchema, ...]:
    """Return the ids given to the fixed schemas' versions, oldest first."""
    lines = json.loads((_root() / "manifest.json").read_text(encoding="utf-8"))
    return tuple(
        FixedSchema(
            line["id"],
            line["subject"],
            line["version"],
            _read(_root().joinpath(*line["file"].split("/"))),
        )
        for line in lines
    )


def _root() -> Traversable:
    return files(__name__)


def _read(entry: Traversable) -> AvroRecord:
    schema: AvroRecord = json.loads(entry.read_text(encoding="utf-8"))
    return schema
