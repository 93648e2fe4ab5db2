"""How predictions end, from producers' topics through all stages to the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from riverrun.records.items import Example
from riverrun.records.topics import Kind
from riverrun.testing.small_pipeline import make_pipeline
from riverrun.testing.small_world import answered, asked
from tests.runtime.worlds import ALL_IN_ONE, MINUTE, Doomed, MemoryWorld, Message


def _ask(number: int, who: str, minute: int) -> Message:
    return Message("asked", who, asked(number, who, "x", minute * MINUTE, 1.0))


def _answer(number: int, who: str, minute: int, worth: float) -> Message:
    return Message("answered", who, answered(number, who, "x", minute * MINUTE, worth))


_SENT = [
    _answer(0, "early", 1, 5.0),
    _ask(0, "early", 2),
    _ask(1, "timely", 3),
    _ask(2, "revised", 4),
    _ask(3, "late", 5),
    _ask(4, "never", 6),
    _answer(1, "timely", 10, 0.0),
    _answer(2, "revised", 11, 5.0),
    _answer(3, "revised", 12, 0.0),
    _answer(4, "revised", 13, 0.0),
    _answer(5, "late", 36, 5.0),
    _ask(5, "pending", 60),
]
_WAIT = 30
_ENDINGS = [
    ("early", "labelled", 1.0, 1),
    ("timely", "labelled", 0.0, 10),
    ("revised", "labelled", 1.0, 11),
    ("revised", "revised", 0.0, 12),
    ("late", "", None, 5 + _WAIT),
    ("never", "", None, 6 + _WAIT),
]


@pytest.mark.parametrize("otherwise", [False, None])
@pytest.mark.parametrize("layout", [ALL_IN_ONE, "ingest features score labels learn"])
@pytest.mark.parametrize("killed_at", [0, 30, 70, 110])
def test_each_prediction_ends_as_it_should(
    tmp_path: Path, layout: str, killed_at: int, *, otherwise: bool | None
) -> None:
    """Labelled early or in time, revised, defaulted or expired by event time alone; one still waits."""
    world = MemoryWorld(tmp_path, make_pipeline("endings", otherwise=otherwise))
    world.publish(_SENT)
    if killed_at:
        Doomed(world, layout, batch_limit=3).rounds_until_killed(killed_at)
    world.run(layout, batch_limit=3)
    found = [item for item, _ in world.items(Kind.EXAMPLES) if isinstance(item, Example)]
    missing = "expired" if otherwise is None else "defaulted"
    default = None if otherwise is None else float(otherwise)
    wanted = [
        (who, outcome or missing, label if outcome else default, minute * MINUTE)
        for who, outcome, label, minute in _ENDINGS
    ]
    assert [(item.key, item.outcome, item.label, item.label_time) for item in found] == wanted
    counters = world.progress("labels").counters
    assert {name: counters[name] for name in ("labelled", missing, "pending", "revised", "repeated", "late")} == {
        "labelled": 3,
        missing: 2,
        "pending": 1,
        "revised": 1,
        "repeated": 1,
        "late": 1,
    }
    learn = world.progress("learn").counters
    assert (learn["learned"], learn["skipped"]) == ((3, 3) if otherwise is None else (5, 1))
