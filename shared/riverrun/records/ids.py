"""Schema ids without a registry: a committed manifest for riverrun's own schemas, content-derived ids for the rest.

All processes of a pipeline must give one schema the same id without talking to each other. So the id of a schema that
a pipeline brings is a hash of the schema's content; what was ever used is kept, append-only, so that old records stay
readable after the pipeline's schema has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from riverrun.errors import RiverrunError
from riverrun.records.avro import AvroRecord, content, fullname

__all__ = [
    "FIRST_DERIVED_ID",
    "Entry",
    "ManifestIds",
    "SchemaIds",
    "SchemaIdsError",
    "SubjectVersion",
    "UnknownSchemaIdError",
    "derived_id",
    "entry_from_json",
    "entry_to_json",
]

FIRST_DERIVED_ID: Final = 1000
"""Ids 1 to 99 are riverrun's own schemas', those below 1000 are kept free."""

_LAST_ID: Final = 2**31 - 1


class SchemaIdsError(RiverrunError):
    """A schema cannot be given an id, or the list of ids contradicts itself."""


class UnknownSchemaIdError(SchemaIdsError):
    """No schema is known by an id."""


class SubjectVersion(NamedTuple):
    """A version of a subject's schema, as registries count them: its number, the schema's id and its text."""

    subject: str
    version: int
    id: int
    schema: str


class SchemaIds(Protocol):
    """Gives schemas ids, the same in every process, and finds schemas by them."""

    def id_of(self, subject: str, schema: AvroRecord) -> int:
        """Return the schema's id, registering it under the subject if it is new.

        Raises
        ------
        SchemaIdsError
            If it cannot be registered.
        UnavailableError
            If a registry is used and does not answer.
        """
        ...

    def schema_of(self, schema_id: int) -> AvroRecord:
        """Return the schema with an id.

        Raises
        ------
        UnknownSchemaIdError
            If there is none.
        UnavailableError
            If a registry is used and does not answer.
        """
        ...


class Entry(NamedTuple):
    """One line of a manifest: this schema was used under this subject and has this id."""

    subject: str
    id: int
    schema: AvroRecord


def derived_id(schema: AvroRecord) -> int:
    """Return the id that follows from a schema's content: from 1000 to 2**31 - 1.

    Examples
    --------
    >>> derived_id({"type": "record", "name": "R", "fields": []})
    838947924
    """
    digest = hashlib.sha256(content(schema).encode()).digest()
    return FIRST_DERIVED_ID + int.from_bytes(digest[:8], "big") % (_LAST_ID - FIRST_DERIVED_ID + 1)


class ManifestIds:
    """Schema ids from the committed manifest and from content.

    Parameters
    ----------
    fixed
        Entries of riverrun's own schemas, of every version (ids below 1000).
    entries
        What was kept of the pipelines' schemas, from `append`.
    append
        Keeps a new entry for good before its id is used. Called once for each subject and schema; two processes may
        append the same entry.

    Raises
    ------
    SchemaIdsError
        If two entries give one id to different schemas.
    """

    def __init__(
        self,
        fixed: Iterable[Entry],
        entries: Iterable[Entry],
        append: Callable[[Entry], None],
    ) -> None:
        self._append = append
        self._schemas: dict[int, AvroRecord] = {}
        self._contents: dict[int, str] = {}
        self._fixed_ids: dict[str, int] = {}
        self._fixed_subjects: set[str] = set()
        self._kept: set[tuple[str, int]] = set()
        for entry in fixed:
            self._learn(entry)
            self._fixed_ids[self._contents[entry.id]] = entry.id
            self._fixed_subjects.add(entry.subject)
        for entry in entries:
            self._learn(entry)

    def id_of(self, subject: str, schema: AvroRecord) -> int:
        """Return the schema's id; see `SchemaIds.id_of`."""
        fixed = self._fixed_ids.get(content(schema))
        if fixed is not None:
            return fixed
        if subject in self._fixed_subjects:
            raise SchemaIdsError(
                f"this version of {subject} is not in schemas/manifest.json",
                hint="copy the .avsc to the next number in schemas/history and append a line to the manifest",
            )
        entry = Entry(subject, derived_id(schema), schema)
        if (subject, entry.id) not in self._kept:
            self._check(entry)
            self._append(entry)
            self._learn(entry)
        return entry.id

    def schema_of(self, schema_id: int) -> AvroRecord:
        """Return the schema with an id; see `SchemaIds.schema_of`."""
        try:
            return self._schemas[schema_id]
        except KeyError:
            raise UnknownSchemaIdError(
                f"no schema has the id {schema_id}",
                hint="`riverrun check --json FILE` prints a pipeline's ids",
            ) from None

    def entries(self) -> tuple[Entry, ...]:
        """Return one entry for each subject and id known, fixed ones included, by id."""
        return tuple(Entry(subject, number, self._schemas[number]) for number, subject in sorted(_swapped(self._kept)))

    def learn(self, entry: Entry) -> None:
        """Take in an entry that another process appended.

        Raises
        ------
        SchemaIdsError
            If its id already belongs to a different schema.
        """
        self._learn(entry)

    def _learn(self, entry: Entry) -> None:
        self._check(entry)
        self._kept.add((entry.subject, entry.id))
        if entry.id not in self._schemas:
            self._schemas[entry.id] = entry.schema
            self._contents[entry.id] = content(entry.schema)

    def _check(self, entry: Entry) -> None:
        known = self._contents.get(entry.id)
        if known is not None and known != content(entry.schema):
            raise SchemaIdsError(
                f"schemas {fullname(self._schemas[entry.id])} and {fullname(entry.schema)} both have the id {entry.id}",
                hint="ids are hashes of schemas: rename one of the two records, or use a schema registry",
            )


def _swapped(kept: Iterable[tuple[str, int]]) -> Iterable[tuple[int, str]]:
    return ((number, subject) for subject, number in kept)


def entry_to_json(entry: Entry) -> str:
    """Write an entry as one line of JSON, as the file and the `schemas` topic hold it.

    Examples
    --------
    >>> entry_to_json(Entry("a-value", 1000, {"type": "record", "name": "R", "fields": []}))
    '{"subject":"a-value","id":1000,"schema":{"type":"record","name":"R","fields":[]}}'
    """
    return json.dumps(entry._asdict(), separators=(",", ":"), ensure_ascii=False)


def entry_from_json(line: str | bytes) -> Entry:
    """Read what `entry_to_json` wrote.

    Raises
    ------
    SchemaIdsError
        If it is something else.
    """
    try:
        data = json.loads(line)
        subject, number, schema = data["subject"], data["id"], data["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise SchemaIdsError(f"a line of a schema manifest is malformed: {error!r}") from error
    if not (isinstance(subject, str) and isinstance(number, int) and isinstance(schema, dict)):
        raise SchemaIdsError(f"a line of a schema manifest lacks a subject, an id or a record schema: {line!r:.200}")
    return Entry(subject, number, schema)
