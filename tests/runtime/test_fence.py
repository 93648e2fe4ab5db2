"""Taking a partition over: whoever may be at work on a stage is fenced, whenever it began."""

from __future__ import annotations

from contextlib import suppress

import pytest

from riverrun.records.items import Progress
from riverrun.records.topics import Kind
from riverrun.runtime.fence import fence
from riverrun.runtime.history import CLAIM
from riverrun.runtime.ports import FencedError, LogUnavailableError, Writer
from riverrun.testing.failpoints import Failpoints, PointedLog
from riverrun.testing.memory_clients import MemoryWriter
from riverrun.testing.small_world import layout_of
from tests.runtime.worlds import ALL_IN_ONE, MemoryWorld, messages


def _take(memory: MemoryWorld, layout: str, log: PointedLog | None = None) -> Writer:
    (chain,) = memory.small.chains(layout_of(layout))
    return fence(memory.deployment(log), chain, 0).writer


def _works(memory: MemoryWorld, writer: Writer) -> bool:
    """Tell whether a writer can commit."""
    try:
        writer.begin()
        writer.send(memory.small.topology.names[Kind.VECTORS], 0, b"k", b"v", ())
        writer.commit({}, "")
    except FencedError:
        return False
    return True


@pytest.mark.parametrize("at", range(1, 21))
def test_two_chains_that_share_a_stage(memory: MemoryWorld, at: int) -> None:
    """At whatever point of its opening one is held up while another takes a stage of it, never are both at work.

    They may have fenced one another: then whoever tries again gets it.
    """
    points = Failpoints()
    taken: list[Writer] = []

    def meanwhile(name: str) -> None:
        del name
        taken.append(_take(memory, "features"))

    points.arm(at, meanwhile)
    with suppress(FencedError):
        taken.append(_take(memory, ALL_IN_ONE, PointedLog(memory.log, points)))
    assert taken, "the point was passed"
    points.disarm()
    assert [_works(memory, writer) for writer in taken].count(True) <= 1
    assert _works(memory, _take(memory, ALL_IN_ONE))


def test_a_claim_that_another_has_hidden(memory: MemoryWorld) -> None:
    """Who claimed a stage last may have died before it had fenced who was at work on it: both are fenced."""
    at_work = _take(memory, ALL_IN_ONE)
    progress = memory.small.topology.names[Kind.PROGRESS]
    claim = Progress(CLAIM + "features", 0, (), {}, {}, 0, {}, memory.deployment().transactional_id("features", 0))
    key, value = memory.small.wire.encode_progress(claim)
    memory.memory.append(progress, 0, value, key=key)
    assert _works(memory, _take(memory, "features+score"))
    assert not _works(memory, at_work)


@pytest.mark.parametrize("kind", [Kind.PROGRESS, Kind.VECTORS, Kind.MODELS])
def test_a_broker_that_was_cut_off_is_not_believed(memory: MemoryWorld, kind: Kind) -> None:
    """Whoever opens while it says what was there before waits, and then goes on behind all that was written."""
    memory.publish(messages(20))
    memory.run()
    made = memory.records(kind, 0)
    assert made
    memory.memory.cut_off([memory.small.topology.names[kind]], 60_000)
    memory.publish(messages(25)[20:])
    worker = memory.member()
    worker.round()
    assert "cannot" in worker.trouble
    assert memory.records(kind, 0) == made
    memory.memory.heal()
    memory.settle(worker)
    worker.leave()
    numbers = [stamp.seq for _, stamp in memory.items(Kind.VECTORS)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 20


def test_a_claim_whose_place_is_not_known(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody can tell whether the commit records were read to their end."""
    monkeypatch.setattr("riverrun.testing.memory_clients.MemoryWriter.first_offset", lambda *_: -1)
    with pytest.raises(LogUnavailableError, match="not known"):
        _take(memory, ALL_IN_ONE)


def test_a_writer_that_could_not_take_over_is_let_go_of(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a leader is away openings fail for as long: each would leave a client behind."""
    closed: list[MemoryWriter] = []

    def refused(self: MemoryWriter, places: object) -> dict[tuple[str, int], int]:
        del self, places
        raise LogUnavailableError("no leader")

    close = MemoryWriter.close

    def count(self: MemoryWriter) -> None:
        closed.append(self)
        close(self)

    _take(memory, ALL_IN_ONE)
    monkeypatch.setattr(MemoryWriter, "confirmed_ends", refused)
    monkeypatch.setattr(MemoryWriter, "close", count)
    opened: list[MemoryWriter] = []

    def make(name: str) -> MemoryWriter:
        opened.append(MemoryWriter(memory.memory, name))
        return opened[-1]

    monkeypatch.setattr(memory.memory, "writer", make)
    with pytest.raises(LogUnavailableError, match="no leader"):
        _take(memory, ALL_IN_ONE)
    assert opened
    assert set(opened) == set(closed)
