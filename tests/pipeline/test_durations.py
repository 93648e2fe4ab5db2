"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.pipeline import DefinitionError
from riverrun.pipeline.durations import DAY_MS, YEAR_MS, Duration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0ms", 0),
        ("500ms", 500),
        ("1s", 1_000),
        ("15m", 900_000),
        ("1h30m", 5_400_000),
        ("90m", 5_400_000),
        ("14d", 14 * DAY_MS),
        ("2w", 14 * DAY_MS),
        ("366d", YEAR_MS),
        ("1m1ms", 60_001),
        ("1h1h", 7_200_000),
        (timedelta(hours=1.5), 5_400_000),
        (timedelta(0), 0),
    ],
)
def test_what_a_duration_says(text: Duration, milliseconds: int) -> None:
    """Every unit, one and several in a row, and Python's own durations."""
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "h",
        "1 h",
        "1.5h",
        "-1h",
        "1H",
        "1h ",
        "1h30",
        "1y",
        "1min",
        "٣h",
        "1" * 16 + "h",
        timedelta(microseconds=1),
        timedelta(seconds=-1),
        *(60, 1.5, None, True, b"1h"),
    ],
)
def test_what_is_no_duration_is_refused(text: Duration) -> None:
    """The error has the text as it was written, its own code, and this line."""
    with pytest.raises(DefinitionError) as caught:
        parse_duration(text)
    assert repr(text) in caught.value.message
    assert caught.value.code == "bad-duration"
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


@given(milliseconds=st.integers(0, 10 * YEAR_MS) | st.integers(0, 4_000).map(lambda number: number * 900_000))
def test_a_duration_written_is_read_back(milliseconds: int) -> None:
    """And is written the same again: it serves as a window's identity."""
    text = format_duration(milliseconds)
    assert parse_duration(text) == milliseconds
    assert format_duration(parse_duration(text)) == text


@given(parts=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["w", "d", "h", "m", "s", "ms"])), min_size=1))
def test_parts_add_up(parts: list[tuple[int, str]]) -> None:
    """In whatever order, and a unit twice is its sum."""
    texts = [f"{count}{unit}" for count, unit in parts]
    assert parse_duration("".join(texts)) == sum(map(parse_duration, texts))
