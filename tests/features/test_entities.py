"""The names of entities."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riverrun.features.entities import entity_of
from riverrun.records.items import FieldValue

TRICKY = st.text(alphabet="a|\\", max_size=4)
KINDS: list[st.SearchStrategy[FieldValue]] = [
    TRICKY,
    st.text(max_size=4),
    st.integers(-20, 20),
    st.booleans(),
    st.floats(allow_nan=False),
    st.binary(max_size=3),
]


@st.composite
def two_rows(draw: st.DrawFn) -> tuple[list[FieldValue], list[FieldValue]]:
    """Two entities of the same fields."""
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=3))
    return [draw(kind) for kind in kinds], [draw(kind) for kind in kinds]


@given(rows=two_rows())
@example(rows=(["a|", "b"], ["a", "|b"]))
@example(rows=(["a\\", "b"], ["a", "\\b"]))
@example(rows=(["", "|"], ["|", ""]))
@example(rows=([0.0], [-0.0]))
def test_names_are_equal_exactly_if_the_values_are(rows: tuple[list[FieldValue], list[FieldValue]]) -> None:
    """No two entities share a name, whatever separators their values have in them."""
    one, other = rows
    fields = [f"f{number}" for number in range(len(one))]
    name = entity_of(fields)
    assert (name(dict(zip(fields, one, strict=True))) == name(dict(zip(fields, other, strict=True)))) == (one == other)


@pytest.mark.parametrize("fields", [["a"], ["a", "b"]])
def test_a_missing_field_makes_no_entity(fields: list[str]) -> None:
    """Whether it is None or not there at all; an empty text is a value."""
    assert entity_of(fields)({"b": 1}) is None
    assert entity_of(fields)({"a": None, "b": 1}) is None
    assert entity_of(fields)({"a": "", "b": 1}) is not None


def test_without_fields_all_is_one_entity() -> None:
    """It is there for every event."""
    assert entity_of([])({}) == entity_of([])({"a": 1}) == ""


def test_names_do_not_depend_on_the_order_in_an_event() -> None:
    """The order of the declaration counts, not that of the fields in a message."""
    name = entity_of(["a", "b"])
    assert name({"b": 2, "a": "x"}) == name({"a": "x", "b": 2}) == "x|2"
