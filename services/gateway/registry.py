"""Schemas by subject and id: what a schema registry says, or would say from the ids that the pipeline uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Protocol

from riverrun.records.ids import Entry, SchemaIds, SubjectVersion

__all__ = ["KnownSchemas", "Registry"]


class Registry(Protocol):
    """Looks schemas up, and never registers any; every call may take seconds, and raise `UnavailableError`."""

    def schema(self, number: int) -> str:
        """Return a schema's text by its id; raises `UnknownSchemaIdError`."""
        ...

    def subjects(self) -> list[str]:
        """Return the subjects, sorted."""
        ...

    def numbers(self, subject: str) -> list[int]:
        """Return the numbers of a subject's versions; none if it is not known."""
        ...

    def version(self, subject: str, name: str) -> SubjectVersion | None:
        """Return a version by its number or as ``latest``, or None if there is none."""
        ...

    def uses(self, number: int) -> list[tuple[str, int]]:
        """Return the subjects that have a schema, and as which of their versions; none if it is not known."""
        ...

    def compatibility(self) -> str:
        """Return by which rule schemas may change, in the registry's words."""
        ...


class KnownSchemas:
    """What there is where no registry is used: see `Registry`.

    Versions count from 1 in the order in which they are known.

    Parameters
    ----------
    ids
        Finds schemas by id.
    entries
        Returns all that is known of subjects: each with its ids.
    """

    def __init__(self, ids: SchemaIds, entries: Callable[[], Sequence[Entry]]) -> None:
        self._ids = ids
        self._entries = entries

    def schema(self, number: int) -> str:
        """Return a schema's text; raises as `SchemaIds.schema_of` does."""
        return json.dumps(self._ids.schema_of(number), separators=(",", ":"))

    def subjects(self) -> list[str]:
        """Return the subjects, sorted."""
        return sorted({entry.subject for entry in self._entries()})

    def numbers(self, subject: str) -> list[int]:
        """Return the numbers of a subject's versions."""
        return [each.version for each in self._versions(subject)]

    def version(self, subject: str, name: str) -> SubjectVersion | None:
        """Return a version."""
        found = reversed(self._versions(subject))
        return next((each for each in found if name in ("latest", str(each.version))), None)

    def uses(self, number: int) -> list[tuple[str, int]]:
        """Return the versions that have an id."""
        subjects = {entry.subject for entry in self._entries() if entry.id == number}
        versions = [each for subject in sorted(subjects) for each in self._versions(subject)]
        return [(each.subject, each.version) for each in versions if each.id == number]

    def compatibility(self) -> str:
        """Every version can be read with every other: tests refuse, and ids are not given to, what cannot."""
        return "FULL_TRANSITIVE"

    def _versions(self, subject: str) -> list[SubjectVersion]:
        found = [entry for entry in self._entries() if entry.subject == subject]
        return [
            SubjectVersion(subject, number, entry.id, json.dumps(entry.schema, separators=(",", ":")))
            for number, entry in enumerate(found, start=1)
        ]
