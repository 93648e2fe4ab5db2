"""A degraded service says so: in its conditions, in its commit records, and until when it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.errors import Dependency, RiverrunError, UnavailableError
from riverrun.records.topics import Kind
from riverrun.runtime import metrics
from riverrun.runtime.degradations import Conditions, Degradation, degradation_of
from riverrun.runtime.instruments import Instruments
from riverrun.runtime.lag_watch import LagWatch
from riverrun.runtime.ports import FencedError, LogUnavailableError, PartialsUnavailableError
from riverrun.runtime.task import Task
from riverrun.testing.memory_failures import Failure
from services.catalogue import STAGES
from tests.runtime.worlds import ALL_IN_ONE, MemoryWorld, messages
from tests.telemetry.worlds import WALL, Watched, watched

PLACE = f"{ALL_IN_ONE}[0]"
_FOUND = st.dictionaries(st.sampled_from(list(Degradation)[:3]), st.text(max_size=3))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), _FOUND)))
def test_conditions_last_as_long_as_they_are_found(steps: list[tuple[str, str, dict[Degradation, str]]]) -> None:
    """A condition's time is that of the first of an unbroken row of findings; its reason is the newest one's."""
    conditions = Conditions()
    model: dict[tuple[str, str, Degradation], tuple[float, str]] = {}
    for now, (where, source, found) in enumerate(steps):
        before = {what for place, by, what in model if (place, by) == (where, source)}
        changed = conditions.replace(where, source, found, float(now))
        assert changed == (before != found.keys())
        for what in before - found.keys():
            del model[where, source, what]
        for what, why in found.items():
            since, _ = model.get((where, source, what), (float(now), ""))
            model[where, source, what] = (since, why)
        expected = sorted((what, place, since, why) for (place, _, what), (since, why) in model.items())
        assert sorted((each.what, each.where, each.since, each.why) for each in conditions.current()) == expected
    times = [each.since for each in conditions.current()]
    assert times == sorted(times)
    conditions.forget("a")
    assert {each.where for each in conditions.current()} <= {"b"}


def test_every_degradation_is_explained() -> None:
    """Each says what it means, what still works and what to do, in whole sentences."""
    for what in Degradation:
        for text in (what.explanation, what.still, what.advice):
            assert text.endswith(".")
            assert text[0].isupper() or text.startswith("`")


def test_every_dependency_has_its_degradation() -> None:
    """What is away is told by its name; what is no dependency's fault is a partition that recovers."""
    for dependency in Dependency:
        kind = type("Away", (UnavailableError,), {"dependency": dependency})
        assert degradation_of(kind("no answer")).value.startswith(dependency.value.split("_")[-1]) or dependency in (
            Dependency.MODEL_STORE,
            Dependency.LOCAL_STATE,
            Dependency.OTHER,
        )
    assert degradation_of(LogUnavailableError("x")) is Degradation.KAFKA_AWAY
    assert degradation_of(PartialsUnavailableError("x")) is Degradation.REDIS_AWAY
    assert degradation_of(FencedError("x")) is Degradation.RECOVERING
    assert degradation_of(RiverrunError("x")) is Degradation.RECOVERING


def current(member: Watched) -> list[tuple[Degradation, str, float]]:
    """Return what is wrong now."""
    return [(each.what, each.where, each.since) for each in member.deployment.observer.conditions.current()]


def test_redis_away_is_said_and_predictions_go_on(memory: MemoryWorld) -> None:
    """While Redis is away the condition holds since it began, the commit records say so, and predictions go on."""
    sent = messages(60)
    memory.publish(sent[:40])
    member = watched(memory)
    memory.settle(member.worker)
    before = len(memory.items(Kind.PREDICTIONS))
    assert current(member) == []
    assert memory.progress("score").degraded == {}
    memory.store.available = False
    memory.publish(sent[40:])
    memory.settle(member.worker)
    assert len(memory.items(Kind.PREDICTIONS)) > before
    ((what, where, since),) = current(member)
    assert (what, where) == (Degradation.REDIS_AWAY, PLACE)
    assert WALL < since < WALL + memory.memory.now / 1000
    for stage in ALL_IN_ONE.split("+"):
        assert memory.progress(stage).degraded == {"redis_away": int(since * 1000)}
    retries = member.deployment.observer.meter.counter(metrics.RETRIES, "redis").value
    assert retries >= 2
    (task,) = member.worker.tasks()
    assert task.instruments.state_age_s() > 0
    memory.store.available = True
    memory.settle(member.worker)
    assert current(member) == []
    assert task.instruments.state_age_s() == 0
    assert memory.progress("score").degraded == {}
    member.worker.leave()


def test_what_is_said_does_not_repeat_itself(memory: MemoryWorld) -> None:
    """An idle service whose Redis stays away writes one commit record that says so, not one at each attempt."""
    memory.publish(messages(20))
    member = watched(memory)
    memory.settle(member.worker)
    before = len(memory.records(Kind.PROGRESS, 0))
    memory.store.available = False
    memory.settle(member.worker)
    memory.settle(member.worker)
    stages = len(ALL_IN_ONE.split("+"))
    assert len(memory.records(Kind.PROGRESS, 0)) == before + stages
    member.worker.leave()


def test_a_member_says_that_its_predecessors_trouble_is_over(memory: MemoryWorld) -> None:
    """What a killed member said last does not stand for ever: its successor finds all well, and says so at once."""
    apart = "ingest+features score labels learn"
    memory.publish(messages(20))
    member = watched(memory, apart)
    memory.settle(member.worker)
    memory.store.available = False
    memory.settle(member.worker)
    assert memory.progress("features").degraded
    for unit in member.worker._units:
        unit.membership.close()
    memory.store.available = True
    successor = watched(memory, apart)
    memory.settle(successor.worker)
    assert memory.progress("features").degraded == {}
    successor.worker.leave()


@pytest.mark.parametrize("failure", [Failure.COMMIT_REFUSED, Failure.OPEN])
def test_kafka_away_is_a_partition_that_recovers(memory: MemoryWorld, failure: Failure) -> None:
    """A task that loses the log is told as recovering, with Kafka as the reason, until it works again."""
    memory.publish(messages(20))
    member = watched(memory)
    memory.memory.fail_next(failure, 3)
    member.worker.round()
    memory.memory.advance(200)
    seen = {(what, where) for what, where, _ in current(member)}
    while sum(task.folded for task in member.worker.tasks()) == 0 and len(seen) < 5:
        member.worker.round()
        seen |= {(what, where) for what, where, _ in current(member)}
        memory.memory.advance(6_000)
    assert seen == {(Degradation.RECOVERING, PLACE), (Degradation.KAFKA_AWAY, PLACE)}
    memory.settle(member.worker)
    assert current(member) == []
    assert member.deployment.observer.meter.counter(metrics.RETRIES, "kafka").value == 3
    member.worker.leave()


class Believing:
    """The membership of a member that was frozen: it still takes the partition for its own."""

    def poll(self, timeout: float = 0.0) -> frozenset[int]:
        del timeout
        return frozenset({0})

    def close(self) -> None:
        """Nothing is held."""


def test_a_fenced_member_counts_it(memory: MemoryWorld) -> None:
    """A member that was replaced while it was frozen is fenced at its next commit, counts it and says so."""
    memory.publish(messages(30))
    frozen = watched(memory, batch_limit=5)
    frozen.worker.round()
    (unit,) = frozen.worker._units
    unit.membership.close()
    unit.membership = Believing()
    successor = watched(memory)
    memory.settle(successor.worker)
    memory.publish(messages(30)[:10])
    frozen.worker.round()
    assert frozen.deployment.observer.meter.counter(metrics.FENCED, ALL_IN_ONE).value == 1
    (condition,) = frozen.deployment.observer.conditions.current()
    assert (condition.what, condition.where) == (Degradation.RECOVERING, PLACE)
    frozen.worker.leave()
    successor.worker.leave()


def test_a_service_that_cannot_keep_up_says_so(memory: MemoryWorld) -> None:
    """Once it has not caught up for the limit it lags, with the trend in words, and no longer once it has."""
    member = watched(memory, batch_limit=1)
    memory.publish(messages(120))
    for _ in range(8):
        member.worker.round()
        memory.memory.advance(1_200)
    assert current(member) == []
    for _ in range(3):
        member.worker.round()
        memory.memory.advance(1_200)
    (condition,) = member.deployment.observer.conditions.current()
    assert (condition.what, condition.where) == (Degradation.LAGGING, PLACE)
    assert "records behind for 1" in condition.why
    assert memory.progress("ingest").degraded.keys() == {"lagging"}
    memory.settle(member.worker)
    assert current(member) == []
    member.worker.leave()


def test_what_was_wrong_while_catching_up_ends_with_it(memory: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that were behind and lag while they catch up by themselves leave nothing of that when the chain runs."""
    memory.publish(messages(20))
    memory.run("ingest")
    monkeypatch.setattr(LagWatch, "look", lambda self, now, lag, caught_up: "late")
    deployment = memory.deployment()
    seen: set[tuple[Degradation, str]] = set()

    def heartbeat() -> None:
        seen.update((each.what, each.where) for each in deployment.observer.conditions.current())

    task = Task([STAGES[name] for name in ALL_IN_ONE.split("+")], replace(deployment, heartbeat=heartbeat), 0)
    task.open()
    assert seen == {(Degradation.LAGGING, "features+score+labels+learn[0]")}
    assert deployment.observer.conditions.current() == ()
    task.close()


def test_a_refused_model_is_a_condition(memory: MemoryWorld) -> None:
    """What the scorer complains of becomes a condition with its words, and ends when it no longer complains."""
    deployment = watched(memory).deployment
    instruments = Instruments(deployment, "score", 3)
    instruments.look(0.0, 0, caught_up=True, refused="version 7 is forged")
    (condition,) = deployment.observer.conditions.current()
    assert (condition.what, condition.where, condition.why) == (
        Degradation.MODEL_REFUSED,
        "score[3]",
        "version 7 is forged",
    )
    assert instruments.unsaid
    assert not instruments.look_due(0.5)
    assert instruments.look_due(1.5)
    instruments.look(2.0, 0, caught_up=True, refused="")
    assert deployment.observer.conditions.current() == ()
    assert instruments.degraded == {}
