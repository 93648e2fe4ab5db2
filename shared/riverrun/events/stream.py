"""What `ingest` needs to know of each stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from riverrun.events.reasons import Reason, RefusedError
from riverrun.records.definition import StreamSchema
from riverrun.records.items import FieldValue

__all__ = ["IngestStream", "Rule"]


class Rule(NamedTuple):
    """A condition that an event must not break: its text, for people, and the compiled check.

    ``holds`` returns False if the event breaks it; None (something that it needs is missing) passes.
    """

    text: str
    holds: Callable[[Mapping[str, FieldValue]], FieldValue]


@dataclass(frozen=True, slots=True)
class IngestStream:
    """One stream as `ingest` reads it.

    Parameters
    ----------
    schema
        Its topic and schema, its id, key and time fields, and how its messages are written.
    rules
        What its events must fulfil.
    joined
        Whether events are matched by key with another stream's, so that partitions must agree.
    max_future_ms
        How far the event time may lie ahead of the record's timestamp, in milliseconds; None for any distance.
    """

    schema: StreamSchema
    rules: tuple[Rule, ...] = field(default=())
    joined: bool = False
    max_future_ms: int | None = 3_600_000

    def check_rules(self, fields: Mapping[str, FieldValue]) -> None:
        """Hold an event to the rules.

        Raises
        ------
        RefusedError
            If it breaks one.
        """
        for rule in self.rules:
            # Only False breaks a rule: None says that something it needs is missing.
            if rule.holds(fields) is False:
                raise RefusedError(Reason.RULE, f"the event breaks the rule {rule.text}")
