"""A member that was replaced while it wrote, or deleted, feature partials, leaves its successor's state whole."""

from __future__ import annotations

import pytest

from riverrun.features import FeaturePlan, FeatureTable
from riverrun.pipeline import Pipeline
from riverrun.runtime.ports import PartialStore
from riverrun.testing.failpoints import Failpoints, PointedPartials
from riverrun.testing.partial_store import MemoryPartialStore
from services.features.state import FeatureState

_TOPIC = "p.events"


class _Holder:
    """A member's table and its trailing state."""

    def __init__(self, pipeline: Pipeline, store: PartialStore) -> None:
        plan = FeaturePlan.compile(pipeline)
        self.table = FeatureTable(plan, 0)
        self.state = FeatureState(plan, self.table, store, events_topic=_TOPIC, partition=0)
        self._next = 0

    def fold(self, count: int) -> None:
        for number in range(self._next, self._next + count):
            self.table.update("asked", {"who": "w", "place": "xyz"[number % 3], "size": 1.0}, number, number)
        self._next += count

    def flush(self) -> None:
        self.state.flush({f"{_TOPIC}/0/0": self._next})


@pytest.fixture
def server() -> MemoryPartialStore:
    return MemoryPartialStore()


def _assert_complete(pipeline: Pipeline, server: MemoryPartialStore, events: int) -> None:
    """Whoever starts now finds everything, or nothing at all."""
    wanted = _Holder(pipeline, MemoryPartialStore())
    wanted.fold(events)
    found = _Holder(pipeline, server.client())
    positions = found.state.load()
    if positions is not None:
        assert positions == {f"{_TOPIC}/0/0": events}
        assert found.table.canonical(events) == wanted.table.canonical(events)


@pytest.mark.parametrize("point", ["begin", "put", "reset"])
@pytest.mark.parametrize("successor_writes", [False, True])
def test_frozen_while_it_wrote_everything(
    pipeline: Pipeline, server: MemoryPartialStore, point: str, *, successor_writes: bool
) -> None:
    """Its marker does not vouch for entries that its successor has deleted meanwhile."""
    points = Failpoints()
    frozen = _Holder(pipeline, PointedPartials(server.client(), points))
    assert frozen.state.load() is None
    frozen.fold(7)
    successor = _Holder(pipeline, server.client())

    def take_over(name: str) -> None:
        del name
        assert successor.state.load() is None
        successor.fold(7)
        if successor_writes:
            successor.flush()

    at = {"begin": 1, "put": 2, "reset": 4}[point]
    points.arm(at, take_over)
    frozen.flush()
    assert points.passed[at - 1] == point
    _assert_complete(pipeline, server, 7)
    for holder in (frozen, successor, frozen):
        holder.flush()
    assert server.marker(0) == 7
    _assert_complete(pipeline, server, 7)


def test_frozen_before_it_deleted(pipeline: Pipeline, server: MemoryPartialStore) -> None:
    """What it deletes after its successor has written all, the successor writes again with its next flush."""
    points = Failpoints()
    frozen = _Holder(pipeline, PointedPartials(server.client(), points))
    successor = _Holder(pipeline, server.client())

    def take_over(name: str) -> None:
        del name
        assert successor.state.load() is None
        successor.fold(7)
        successor.flush()

    points.arm(3, take_over)
    assert frozen.state.load() is None
    assert points.passed[2] == "clear partials"
    _assert_complete(pipeline, server, 7)
    successor.fold(1)
    successor.flush()
    assert server.marker(0) == 8
    _assert_complete(pipeline, server, 8)
