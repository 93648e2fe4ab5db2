"""The drift stages in the runtime: the same findings, once each, chained or apart, killed or not, from one partition or
two.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from riverrun.launch.chains import cut_chains
from riverrun.pipeline import Drift
from riverrun.records.items import Drift as Finding
from riverrun.records.topics import Kind
from riverrun.testing.small_pipeline import make_pipeline
from riverrun.testing.small_world import answered, asked
from services.catalogue import STAGES
from tests.runtime.worlds import ALL_IN_ONE, MINUTE, Doomed, MemoryWorld, Message

CHAIN = "ingest+features+score+labels+drift-inputs+learn+drift-errors"
APART = "ingest features score labels drift-inputs learn drift-errors"
WATCHED = Drift(window=50, reference=200, warm_up=20, segments=["place_code"])
COUNT = 700
MOVED = 450


def drifting(count: int = COUNT) -> list[Message]:
    """Make events whose sizes and labels are other ones from a certain event on; some labels never come."""
    rng = random.Random(7)
    timed: list[tuple[int, Message]] = []
    for number in range(count):
        who, place, at = f"w{number}", rng.choice("xy"), number * MINUTE
        moved = number >= MOVED
        timed.append((at, Message("asked", who, asked(number, who, place, at, rng.randrange(20, 29) if moved else 3))))
        if rng.random() < (0.3 if moved else 0.95):
            value = answered(number, who, place, at + 5 * MINUTE, float(rng.randrange(6)))
            timed.append((at + 5 * MINUTE, Message("answered", who, value)))
    return [message for _, message in sorted(timed, key=lambda pair: pair[0])]


def world(folder: Path, partitions: int = 1, watched: Drift | None = None) -> MemoryWorld:
    """Return the small pipeline, watched, with the events published."""
    drift = Drift(window=50, reference=200, warm_up=20) if watched is None else watched
    made = MemoryWorld(folder, make_pipeline("watched", drift=drift), partitions)
    made.publish(drifting())
    return made


def findings(made: MemoryWorld, partition: int = 0) -> list[Finding]:
    """Return what is in a partition of the topic."""
    return [item for item, _ in made.items(Kind.DRIFT, partition) if isinstance(item, Finding)]


def sequences(made: MemoryWorld, partition: int = 0) -> dict[int, list[int]]:
    """Return the positions of each writer's records in a partition of the topic."""
    found: dict[int, list[int]] = {}
    for _, stamp in made.items(Kind.DRIFT, partition):
        found.setdefault(stamp.writer, []).append(stamp.seq)
    return found


def test_one_chain(tmp_path: Path) -> None:
    """Both stages run in the chain of all others and write to one topic, each with positions of its own."""
    made = world(tmp_path)
    made.run(CHAIN)
    found = findings(made)
    kinds = {(finding.kind, finding.subject) for finding in found}
    assert {("input", "size"), ("label-starvation", "label")} <= kinds
    assert {finding.source.topic for finding in found} == {"watched.predictions", "watched.examples"}
    inputs, errors = made.progress("drift-inputs"), made.progress("drift-errors")
    assert inputs.counters["records"] == COUNT
    assert inputs.counters["findings"] + errors.counters["findings"] == len(found)
    written = {0: inputs.counters["findings"], 1: errors.counters["findings"]}
    assert sequences(made) == {writer: list(range(count)) for writer, count in written.items()}
    assert min(written.values()) > 0
    assert all(MOVED - 60 <= finding.since_offset <= finding.detected_offset for finding in found)


def _by_source(found: Sequence[Finding], topic: str) -> list[Finding]:
    return [finding for finding in found if finding.source.topic == topic and finding.kind != "prediction"]


def test_apart_as_in_a_chain(tmp_path: Path) -> None:
    """What is found does not depend on the layout (but for what models of another moment predict)."""
    chained, apart = world(tmp_path / "chained"), world(tmp_path / "apart")
    chained.run(CHAIN)
    apart.run(APART)
    for topic in ("watched.predictions", "watched.examples"):
        wanted = {(each.kind, each.id) for each in _by_source(findings(chained), topic) if each.kind not in MODELS}
        assert {
            (each.kind, each.id) for each in _by_source(findings(apart), topic) if each.kind not in MODELS
        } == wanted
        assert wanted


MODELS = ("error", "calibration", "prediction")
"""Kinds that depend on the models' versions, and so on when a scorer apart loads them."""


def test_killed_at_any_point_it_finds_the_same_once_each(tmp_path: Path) -> None:
    """Wherever a member is killed, its successor writes what is missing, byte for byte, and nothing twice; so does one
    that finds state stored in between, and one that finds none any more.
    """
    undisturbed = world(tmp_path / "undisturbed")
    undisturbed.run(CHAIN)
    wanted = [(record.key, record.value, record.headers) for record in undisturbed.records(Kind.DRIFT, 0)]
    assert wanted
    spared = world(tmp_path / "spared")
    survivor = Doomed(spared, CHAIN, batch_limit=300)
    assert survivor.rounds_until_killed(0) == ""
    passed = len(survivor.points.passed)
    rng = random.Random(3)
    for attempt in range(6):
        made = world(tmp_path / str(attempt))
        if attempt % 2:
            # A planned stop stores the fold; it is then killed on the way from there.
            Doomed(made, CHAIN, batch_limit=150).rounds_until_killed(rng.randrange(passed // 3, passed // 2))
            made.run(CHAIN, batch_limit=200)
        for _ in range(2):
            Doomed(made, CHAIN, batch_limit=300).rounds_until_killed(rng.randrange(passed // 3, passed))
        if attempt == 4:
            made.disk.lose()
        made.run(CHAIN)
        assert [(record.key, record.value, record.headers) for record in made.records(Kind.DRIFT, 0)] == wanted


def test_two_partitions(tmp_path: Path) -> None:
    """Each partition's predictions are watched by a writer of their own, and all examples by one more."""
    made = world(tmp_path, partitions=2)
    made.run("ingest+features+score+labels+drift-inputs learn drift-errors")
    first, second = sequences(made, 0), sequences(made, 1)
    assert set(first) == {0, 2}
    assert set(second) == {1}
    assert all(found == list(range(len(found))) for found in (*first.values(), *second.values()))
    shares = [made.progress("drift-inputs", partition).counters["records"] for partition in (0, 1)]
    ended = [made.progress("labels", partition).outputs["watched.examples"] for partition in (0, 1)]
    assert sum(shares) == COUNT
    assert made.progress("drift-errors").counters["records"] == sum(ended) > 0.9 * COUNT


def test_moved_into_the_chain(tmp_path: Path) -> None:
    """Stages that join a chain which has run without them catch up first, and find what they would have found."""
    late, early = world(tmp_path / "late"), world(tmp_path / "early")
    late.run(ALL_IN_ONE)
    assert findings(late) == []
    late.run(CHAIN)
    early.run(CHAIN)
    assert sorted(each.id for each in findings(late)) == sorted(each.id for each in findings(early))


def test_a_pipeline_that_asks_for_nothing(tmp_path: Path) -> None:
    """Without ``drift=`` the stages are left out of every chain: they write no commit record."""
    made = MemoryWorld(tmp_path, make_pipeline("unwatched"))
    made.publish(drifting(40))
    made.run(CHAIN)
    made.run("drift-inputs")
    stages = {made.small.wire.progress(record).stage for record in made.records(Kind.PROGRESS, 0)}
    assert {"ingest", "learn"} <= stages
    assert not stages & {"drift-inputs", "drift-errors", "claim/drift-inputs", "claim/drift-errors"}


@pytest.mark.parametrize(
    ("partitions", "wanted"),
    [
        (1, [CHAIN]),
        (2, ["ingest+features+score+labels+drift-inputs", "learn", "drift-errors"]),
    ],
)
def test_how_they_are_chained(partitions: int, wanted: list[str]) -> None:
    """The stage that reads predictions joins the chain that writes them; that of the examples only where there is one
    partition.
    """
    chains = cut_chains(list(STAGES.values()), partitions)
    assert ["+".join(stage.name for stage in chain) for chain in chains] == wanted
    assert len(cut_chains(list(STAGES.values()), 1, chained=False)) == len(STAGES)
