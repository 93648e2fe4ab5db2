"""The JSON Schema of events against what is really admitted: it says the rules that it can; its examples are good."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from riverrun.events.decode import EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.events.streams import streams_of
from riverrun.pipeline import Expression, Stream
from riverrun.testing.small_pipeline import make_pipeline
from riverrun.testing.small_world import make_codecs
from services.gateway.admission import Admission, Limits
from services.gateway.event_schema import event_example, event_schema
from services.gateway.problems import Problem

BASE = make_pipeline("schemed")
ASKED: Stream = BASE.predict_on
SETTINGS = IngestSettings()
GOOD = {"id": "a", "who": "w", "place": "x", "at": 5, "size": 1.0}
SAID: dict[str, Sequence[Expression]] = {
    "at least": [ASKED.size >= 100],
    "more": [ASKED.size > 99.5],
    "at most": [ASKED.size <= -7],
    "less, twice": [ASKED.size < 3, ASKED.size < -2.5],
    "between": [ASKED.size.between(2.5, 2.75)],
    "both, in one": [(ASKED.size > 2) & (ASKED.place != "")],
    "exactly": [ASKED.size == 4],
    "one of some": [ASKED.place.is_in(["x", "y"]), ASKED.place != "x"],
    "one of two lists": [ASKED.place.is_in(["x", "y"]), ASKED.place.is_in(["y", "z"])],
    "a whole number": [ASKED["at"] > 7.5, ASKED["at"] < 10],
}
ODD = Stream(
    "schemed-raw.odd",
    schema={
        "type": "record",
        "name": "Odd",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "note", "type": ["null", "string"], "default": None},
            {"name": "part", "type": ["null", "int"], "default": None},
            {"name": "kind", "type": {"type": "enum", "name": "OddKind", "symbols": ["A", "B", "C"]}},
            {"name": "flag", "type": "boolean"},
            {"name": "raw", "type": "bytes"},
        ],
    },
    key="id",
    time="at",
    id="id",
    max_future=None,
)
UNSAID: dict[str, Sequence[Expression]] = {
    "two fields": [ASKED.place != ASKED.who],
    "one or the other": [(ASKED.size > 0) | (ASKED.place == "x")],
    "an order of texts": [ASKED.place > "a"],
    "arithmetic": [ASKED.size + 1 > 0],
}


class Judged:
    """The schema of events with rules, and what admits them."""

    def __init__(self, rules: Sequence[Expression], of: Stream = ASKED) -> None:
        pipeline = replace(BASE, streams=(ODD,), rules=tuple(rules))
        ids, codecs = make_codecs(pipeline)
        (stream,) = [each for each in streams_of(pipeline, codecs.streams) if each.schema.name == of.name]
        limits = Limits(3, SETTINGS.max_text, SETTINGS.max_message_bytes)
        self._admission = Admission(stream, EventDecoder(stream, ids, Place(0, 1), SETTINGS), limits)
        self.schema = event_schema(stream.schema, SETTINGS.max_text, rules)
        self.example = event_example(stream.schema, rules)
        self._validator = Draft202012Validator(self.schema)

    def allows(self, event: object) -> bool:
        """Tell whether the schema accepts an event."""
        return bool(self._validator.is_valid(event))

    def admits(self, event: object) -> bool:
        """Tell whether the gateway does."""
        try:
            self._admission.take(json.dumps(event).encode())
        except Problem:
            return False
        return True


@pytest.mark.parametrize("rules", SAID.values(), ids=SAID.keys())
def test_the_schema_says_a_rule_of_one_field(rules: Sequence[Expression]) -> None:
    """It accepts what the gateway does, and nothing else, at and around every bound; the example is accepted."""
    judged = Judged(rules)
    assert judged.admits(judged.example), judged.example
    assert judged.allows(judged.example)
    verdicts = set()
    for size in (-7.5, -7, -2.5, -2, 0, 2, 2.5, 2.6, 2.75, 3, 4, 99.5, 99.75, 100, 101):
        for place in ("", "x", "y", "z"):
            for at in (5, 7, 8, 10):
                event = GOOD | {"size": size, "place": place, "at": at}
                assert judged.allows(event) == judged.admits(event), event
                verdicts.add(judged.allows(event))
    assert verdicts == {True, False}


def test_rules_of_fields_of_every_type_are_said() -> None:
    """A missing value breaks none of them; enums, booleans and bytes are told as JSON has them."""
    rules = [
        ODD.note != "",
        ODD.part.between(1, 3),
        ODD.kind.is_in(["B", "C"]),
        ODD.flag.is_in([True]),
        ODD.raw != b"\xff",
    ]
    judged = Judged(rules, ODD)
    assert judged.admits(judged.example), judged.example
    good = {"id": "a", "at": 5, "note": "n", "part": 1, "kind": "B", "flag": True, "raw": "b"}
    others: dict[str, list[object]] = {
        "note": ["", None],
        "part": [0, None, 3, 4],
        "kind": ["A", "C", "D"],
        "flag": [False, None],
        "raw": ["", "\xff"],
    }
    for name, values in others.items():
        for value in values:
            event = good | {name: value}
            assert judged.allows(event) == judged.admits(event), event
    assert judged.allows(good | {"note": None, "part": None})
    assert not judged.allows(good | {"raw": "\xff"})


@pytest.mark.parametrize("rules", UNSAID.values(), ids=UNSAID.keys())
def test_what_the_schema_cannot_say_it_tells_of(rules: Sequence[Expression]) -> None:
    """It is as without the rule, but for the description, which has it in words."""
    judged = Judged(rules)
    assert judged.schema["properties"] == Judged([]).schema["properties"]
    assert "rules" in judged.schema["description"]
    assert "rules" not in Judged([]).schema["description"]


@given(st.floats(-100, 100), st.floats(-100, 100), st.booleans())
def test_an_example_is_found_between_any_bounds(one: float, other: float, open_: bool) -> None:
    """Wherever there is a value at all, the example is one that is accepted."""
    low, high = sorted((one, other))
    if open_ and high - low > 1e-9:
        judged = Judged([ASKED.size > low, ASKED.size < high])
    else:
        judged = Judged([ASKED.size.between(low, high)])
    assert judged.allows(judged.example)
    assert judged.admits(judged.example)
