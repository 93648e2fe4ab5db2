"""Between two transactions of a stage that nobody waits for, records are gathered; without loss and without a lag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from riverrun.records.topics import Kind
from riverrun.runtime.worker import Worker
from riverrun.testing.small_world import layout_of
from services.catalogue import STAGES
from tests.runtime.worlds import MemoryWorld, messages

PAUSE_MS = 200


def start(world: MemoryWorld, pauses: Sequence[int], batch_limit: int = 2_000) -> Worker:
    """Start a chain of the first stages, each with its pause in milliseconds, that has nothing left to do."""
    (chain,) = world.small.chains(layout_of("+".join(("ingest", "features")[: len(pauses)])))
    paused = [replace(stage, pause_ms=pause) for stage, pause in zip(chain, pauses, strict=True)]
    worker = Worker(world.deployment(batch_limit=batch_limit), [paused])
    worker.join()
    world.settle(worker)
    return worker


def rounds(world: MemoryWorld, worker: Worker) -> list[bool]:
    """Publish a message each 10 ms of 400, let the worker come round after each; return when it found work."""
    busy = []
    for message in messages(40)[:40]:
        world.send(message)
        busy.append(worker.round())
        world.memory.advance(10)
    return busy


def test_what_comes_during_a_pause_is_one_transaction(memory: MemoryWorld) -> None:
    """A stage that pauses for 200 ms commits at 0 and 200 ms, and everything that came meanwhile."""
    worker = start(memory, [PAUSE_MS])
    assert [at for at, busy in enumerate(rounds(memory, worker)) if busy] == [0, 20]
    memory.settle(worker)
    worker.leave()
    taken = len(memory.records(Kind.EVENTS, 0)) + len(memory.records(Kind.DEAD_LETTERS, 0))
    assert taken + memory.progress("ingest").counters["duplicates"] == 40


def test_a_chain_waits_for_its_most_urgent_stage_alone(memory: MemoryWorld) -> None:
    """A stage that pauses holds up none that it is chained with."""
    assert all(rounds(memory, start(memory, [PAUSE_MS, 0])))


def test_a_backlog_is_worked_off_without_a_pause(memory: MemoryWorld) -> None:
    """While more is there than a batch takes, the clock need not move; the last batch may wait for more."""
    worker = start(memory, [PAUSE_MS], batch_limit=5)
    memory.publish(messages(40)[:40])
    assert [worker.round() for _ in range(9)] == [True] * 7 + [False] * 2
    memory.memory.advance(PAUSE_MS)
    assert worker.round()


def test_nobody_who_waits_for_a_prediction_waits_for_a_pause() -> None:
    """What lies between an event and its prediction never pauses; what comes after it gathers, well within a second."""
    pauses = {name: stage.pause_ms for name, stage in STAGES.items()}
    assert {name for name, pause in pauses.items() if not pause} == {"ingest", "features", "score"}
    assert pauses["labels"] + pauses["learn"] <= 100
