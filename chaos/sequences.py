"""Compares what came with what was due: by plain counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from chaos.evidence import Row
from chaos.findings import Finding, Sort

__all__ = ["Found", "compare", "equal_counts", "increasing", "numbered"]

_NEVER: Final = -1


class Found(NamedTuple):
    """A record by what identifies it, and when it was made."""

    id: str
    at_ms: int


def compare(what: str, found: Sequence[Found], due: Sequence[Found], *, ordered: bool = True) -> Iterator[Finding]:
    """Compare two sequences of which the second is right.

    Parameters
    ----------
    what
        Names the records in messages.
    found
        What came; ``at_ms`` of those that came twice says when.
    due
        What should have come, in order; ``at_ms`` of those that did not says since when.
    ordered
        Whether the order counts.
    """
    counts, wanted = Counter(each.id for each in found), Counter(each.id for each in due)
    last = {each.id: each.at_ms for each in found}
    for name, count in counts.items():
        if count > wanted[name] > 0:
            yield Finding(Sort.DOUBLED, f"{what}: {name} came {count} times", last[name], name)
        elif not wanted[name]:
            yield Finding(Sort.WRONG, f"{what}: {name} should not be there", last[name], name)
    for each in due:
        if each.id not in counts:
            yield Finding(Sort.LOST, f"{what}: {each.id} is lost", each.at_ms, each.id)
    if not ordered:
        return
    # What is lost or too much is told already: of the rest, is one out of turn?
    place = {each.id: number for number, each in enumerate(due)}
    reached = _NEVER
    for each in found:
        number = place.get(each.id, reached)
        if number < reached and counts[each.id] == 1:
            yield Finding(Sort.REORDERED, f"{what}: {each.id} came after {due[reached].id}", each.at_ms, each.id)
        reached = max(reached, number)


def numbered(what: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Check that every writer has numbered its records 0, 1, 2 and so on, each once."""
    following: Counter[tuple[int, int]] = Counter()
    for row in rows:
        place = row.partition, row.stamp.writer
        seq, expected = row.stamp.seq, following[place]
        if seq != expected:
            sort = Sort.DOUBLED if seq < expected else Sort.LOST
            text = f"{what}[{row.partition}] at offset {row.offset}: {seq} came where {expected} was due"
            yield Finding(sort, text, row.at_ms)
        following[place] = max(expected, seq + 1)


def increasing(what: str, rows: Sequence[Row]) -> Iterator[Finding]:
    """Check that the records that rows were made from only increase, in each partition and for each input."""
    last: dict[tuple[int, str, int], int] = {}
    for row in rows:
        topic, partition, position = row.stamp.source
        place = row.partition, topic, partition
        before = last.get(place, _NEVER)
        if position <= before:
            text = f"{what}[{row.partition}] at offset {row.offset} is made from {position}, after {before}"
            yield Finding(Sort.REORDERED, text, row.at_ms)
        last[place] = max(before, position)


def equal_counts(what: str, said: Mapping[str, int], found: Mapping[str, int]) -> Iterator[Finding]:
    """Check that counters say what was found."""
    for name, count in found.items():
        if said.get(name, 0) != count:
            yield Finding(Sort.WRONG, f"{what} counted {said.get(name, 0)} {name}, there are {count}")
