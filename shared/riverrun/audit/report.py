"""What an audit found: checks, each with the first record that fails it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from riverrun.audit.reading import Record
from riverrun.records.headers import SEQ, SOURCE

__all__ = ["Check", "Finding", "Tell"]

Tell = Callable[[int], None]
"""Told now and then how many more records were looked at."""

_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """A record that breaks a promise.

    Parameters
    ----------
    place
        ``topic[partition]@offset``; for Redis the key and the entity.
    seq, source
        What the record's headers say; empty if it has none.
    expected, found
        In words or values.
    """

    place: str
    seq: str
    source: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Say it in one line."""
        origin = "".join(f", {name} {value}" for name, value in ((SEQ, self.seq), (SOURCE, self.source)) if value)
        return f"{self.place}{origin}: expected {self.expected}; found {self.found}"


@dataclass(slots=True)
class Check:
    """One thing that was checked.

    Parameters
    ----------
    name
        What is claimed, in words.
    promise
        The number of the promise in the design that it is part of.

    Attributes
    ----------
    counted
        How many records, or pairs of them, were compared.
    faults
        How many were wrong.
    first
        The first of those.
    seconds
        How long the task took that this check belongs to.
    note
        What the reader should know, such as what could not be checked.
    computed
        What was computed and is of use in itself, by name: a model's digest after the last example.
    """

    name: str
    promise: int
    counted: int = 0
    faults: int = 0
    first: Finding | None = None
    seconds: float = 0.0
    note: str = field(default="")
    computed: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return self.faults == 0

    def fault(self, place: Record | str, expected: object, found: object) -> None:
        """Note that a record, or what ``place`` names, is not as it should be."""
        self.faults += 1
        if self.first is None:
            seq = source = ""
            if isinstance(place, Record):
                seq, source = _header(place, SEQ), _header(place, SOURCE)
                place = f"{place.topic}[{place.partition}]@{place.offset}"
            self.first = Finding(place, seq, source, _short(expected), _short(found))

    def compare(self, place: Record | str, expected: object, found: object) -> bool:
        """Count a comparison, and note a fault if the two differ; return whether they are the same."""
        self.counted += 1
        if expected == found:
            return True
        self.fault(place, expected, found)
        return False


def _header(record: Record, name: str) -> str:
    return next((value.decode("utf-8", "replace") for key, value in record.headers if key == name and value), "")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
