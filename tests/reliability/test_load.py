"""The load has all that real streams do wrong, in the shares that were asked for."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from chaos.parcels import DISORDER, DUPLICATE, MALFORMED, VALID, ParcelLoad

_COUNT = 20_000


def test_shares_are_as_asked() -> None:
    """10 % duplicates, 20 % out of order, a poison message each 1,000, clocks an hour off, labels of every sort."""
    load = ParcelLoad(5, DISORDER)
    messages = load.take(_COUNT)
    shares = {name: count / _COUNT for name, count in load.made.items()}
    assert shares["load.duplicate"] == pytest.approx(0.10, abs=0.01)
    assert shares["load.out-of-order"] == pytest.approx(0.20, abs=0.01)
    assert shares["load.clock-off"] == pytest.approx(0.09, abs=0.02)
    assert load.made["load.poison"] == pytest.approx(_COUNT / 1_000, abs=1)
    for sort in ("never", "late", "twice", "contradictory", "before-its-prediction"):
        assert load.made[f"load.label-{sort}"] > _COUNT / 1_000
    kinds = Counter(message.kind for message in messages)
    assert kinds[VALID] + kinds[DUPLICATE] + kinds[MALFORMED] == _COUNT


def test_a_duplicate_repeats_a_message_that_came_before() -> None:
    """Byte for byte, on the same topic; and no valid id comes twice."""
    seen: dict[str, bytes] = {}
    for message in ParcelLoad(6, DISORDER).take(_COUNT):
        if message.kind == DUPLICATE:
            assert seen[message.id] == message.value
        elif message.kind == VALID:
            assert message.id not in seen
            seen[message.id] = message.value


def test_a_seed_always_makes_the_same_load() -> None:
    """However much of it is taken at a time."""
    whole = ParcelLoad(7, DISORDER).take(3_000)
    parts = ParcelLoad(7, DISORDER)
    assert parts.take(0) == []
    assert [message for _ in range(30) for message in parts.take(100)] == whole
    assert ParcelLoad(8, DISORDER).take(3_000) != whole


def test_messages_are_published_nearly_in_order_of_time() -> None:
    """An event that is not out of order is at most its producer's hour ahead of, or behind, those before it."""
    newest = 0
    for message in ParcelLoad(9, DISORDER).take(_COUNT):
        if message.kind != VALID or set(message.oddities) & {"load.out-of-order", "load.clock-off"}:
            continue
        at = json.loads(message.value)["at"]
        assert at >= newest
        newest = at
