"""Schemas by subject and id: what a schema registry would say, from the ids that the pipeline uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from riverrun.records.ids import Entry, SchemaIds

__all__ = ["Registry", "Version"]


class Version(NamedTuple):
    """A version of a subject's schema; versions count from 1 in the order in which they are known."""

    subject: str
    version: int
    id: int
    schema: str


class Registry:
    """Looks schemas up, and never registers any.

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

    def versions(self, subject: str) -> list[Version]:
        """Return a subject's versions; none if it is not known."""
        found = [entry for entry in self._entries() if entry.subject == subject]
        return [
            Version(subject, number, entry.id, json.dumps(entry.schema, separators=(",", ":")))
            for number, entry in enumerate(found, start=1)
        ]

    def uses(self, number: int) -> list[Version]:
        """Return the versions that have an id."""
        subjects = {entry.subject for entry in self._entries() if entry.id == number}
        return [each for subject in sorted(subjects) for each in self.versions(subject) if each.id == number]
