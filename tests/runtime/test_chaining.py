"""Chained or apart, in large batches or small, undisturbed or restarted: the topics hold the same bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riverrun.records.items import Event, Example, Prediction, Progress, Vector
from riverrun.records.topics import Kind
from tests.runtime.worlds import ALL_IN_ONE, WRITTEN, Contents, MemoryWorld, messages

APART = "ingest features score labels learn"
MakeMemory = Callable[..., MemoryWorld]

# A scorer apart from the learner uses published versions, and records which: only then scores may differ.
SAME_SCORES = [
    "ingest features score+labels+learn",
    "ingest+features score+labels+learn",
    "ingest features+score+labels+learn",
    "ingest features+score+labels+learn",
]
OTHER_SCORES = [APART, "ingest+features+score labels learn", "ingest+features+score+labels learn"]


def _undisturbed(make_memory: MakeMemory, count: int = 60) -> Contents:
    world = make_memory()
    world.publish(messages(count))
    world.run()
    return world.contents()


def _assert_same(found: Contents, wanted: Contents) -> None:
    for kind in WRITTEN:
        assert found[kind] == wanted[kind], kind


def test_the_messages_exercise_everything(memory: MemoryWorld) -> None:
    """Every outcome of a record, a prediction and a label is among the messages; nothing is lost or twice."""
    sent = messages(60)
    memory.publish(sent)
    memory.run()
    ingest, labels = memory.progress("ingest").counters, memory.progress("labels").counters
    assert min(ingest["accepted"], ingest["duplicates"], ingest["dead_letters"]) > 5
    assert ingest["accepted"] + ingest["duplicates"] + ingest["dead_letters"] == len(sent)
    assert min(labels[name] for name in ("labelled", "defaulted", "revised", "late", "early", "repeated")) > 0
    ended = labels["labelled"] + labels["defaulted"] + labels["expired"] + labels["pending"]
    assert labels["predictions"] == ended == 60
    learn: Progress = memory.progress("learn")
    assert learn.counters["examples"] == len(memory.items(Kind.EXAMPLES))
    assert sum(type(item) is Event for item, _ in memory.items(Kind.EVENTS)) == ingest["accepted"]


@pytest.mark.parametrize("layout", SAME_SCORES)
def test_chaining_changes_nothing(make_memory: MakeMemory, layout: str) -> None:
    """Wherever the chain is cut between other stages than score and learn, all topics hold the same bytes."""
    world = make_memory()
    world.publish(messages(60))
    world.run(layout)
    _assert_same(world.contents(), _undisturbed(make_memory))


@pytest.mark.parametrize("layout", OTHER_SCORES)
def test_apart_from_the_learner_only_scores_differ(make_memory: MakeMemory, layout: str) -> None:
    """A scorer apart from the learner makes the same predictions but for scores and their versions, and all that
    follows from them alike.
    """
    world = make_memory()
    world.publish(messages(60))
    world.run(layout)
    found, wanted = world.contents(), _undisturbed(make_memory)
    for kind in (Kind.EVENTS, Kind.DEAD_LETTERS, Kind.VECTORS):
        assert found[kind] == wanted[kind]
    chained = make_memory()
    chained.publish(messages(60))
    chained.run()
    for kind, item_class in ((Kind.PREDICTIONS, Prediction), (Kind.EXAMPLES, Example)):
        ours, theirs = ([item for item, _ in each.items(kind)] for each in (world, chained))
        assert [_without_scores(item, item_class) for item in ours] == [
            _without_scores(item, item_class) for item in theirs
        ]


def _without_scores(item: object, item_class: type) -> object:
    assert isinstance(item, item_class)
    if isinstance(item, Prediction):
        return item.id, item.key, item.time, item.event_seq, item.vector, item.seq
    assert isinstance(item, Example)
    return item.id, item.outcome, item.label, item.label_time, item.vector, item.source, item.seq


@pytest.mark.parametrize("limit", [1, 2, 7, 50])
def test_batches_do_not_matter(make_memory: MakeMemory, limit: int) -> None:
    """However many records a transaction takes, the topics hold the same bytes."""
    world = make_memory()
    world.publish(messages(60))
    world.run(batch_limit=limit)
    _assert_same(world.contents(), _undisturbed(make_memory))


@pytest.mark.parametrize("layout", [ALL_IN_ONE, "ingest features score+labels+learn"])
def test_planned_stops_change_nothing(make_memory: MakeMemory, layout: str) -> None:
    """Members that stop as SIGTERM bids after every few rounds, and others that go on, leave the same bytes."""
    world = make_memory()
    world.publish(messages(60))
    for _ in range(12):
        worker = world.member(layout, batch_limit=9)
        worker.round()
        worker.round()
        worker.leave()
    world.run(layout)
    _assert_same(world.contents(), _undisturbed(make_memory))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ingest features score+labels+learn", ALL_IN_ONE),
        (ALL_IN_ONE, "ingest features score+labels+learn"),
        ("ingest+features score+labels+learn", "ingest features+score+labels+learn"),
    ],
)
@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_moving_stages_between_chains(make_memory: MakeMemory, before: str, after: str, rounds: int) -> None:
    """Stages that went on apart, each as far as it got, go on in another chain as if nothing had been."""
    world = make_memory()
    world.publish(messages(60))
    worker = world.member(before, batch_limit=11)
    for _ in range(rounds):
        worker.round()
    worker.leave()
    world.run(after, batch_limit=13)
    _assert_same(world.contents(), _undisturbed(make_memory))


def test_every_stage_far_behind_the_one_before(make_memory: MakeMemory) -> None:
    """Stages that ran one after the other, each stopped short, are brought level when they are chained."""
    world = make_memory()
    world.publish(messages(60))
    stages = ["ingest", "features", "score+labels+learn"]
    for stage, rounds in zip(stages, (9, 5, 2), strict=True):
        worker = world.member(stage, batch_limit=10)
        for _ in range(rounds):
            worker.round()
        worker.leave()
    counts = [len(world.records(kind, 0)) for kind in (Kind.EVENTS, Kind.VECTORS, Kind.PREDICTIONS)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 3
    world.run()
    _assert_same(world.contents(), _undisturbed(make_memory))


def test_a_vector_is_of_the_past(memory: MemoryWorld) -> None:
    """Every vector names the event that it was made for, and has its time and id."""
    memory.publish(messages(60))
    memory.run()
    events = [item for item, _ in memory.items(Kind.EVENTS) if isinstance(item, Event)]
    for item, _ in memory.items(Kind.VECTORS):
        assert isinstance(item, Vector)
        event = events[item.event_seq]
        assert (event.id, event.time, item.source.position) == (item.id, item.time, event.seq)
