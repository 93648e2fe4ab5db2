"""The learner is the plain River loop, and its fold survives anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.models.adapter import BINARY, REGRESSION, Task, features_of
from riverrun.models.digest import digest
from riverrun.models.evaluation import Evaluator
from riverrun.models.modelset import build_models
from riverrun.models.publishing import open_version
from riverrun.models.store import ModelStore
from riverrun.records.items import LABELLED, Evaluation, Example, ModelAlias, ModelVersion, Source, Vector
from services.learn.core import LearnCore, LearnSettings
from services.score.core import LiveModels, ScoreCore
from tests.learn.world import (
    KEYS,
    MODELS,
    NAMES,
    SETTINGS,
    TOPIC,
    VECTORS,
    Log,
    Worker,
    examples,
    make_core,
    make_state,
    slowly,
    vectors,
)
from tests.models.test_adapter import Definition
from tests.models.zoo import ZOO, river


def _regression() -> Any:
    return river.preprocessing.StandardScaler() | river.linear_model.LinearRegression(river.optim.Adam())


@pytest.mark.parametrize(
    ("task", "factories"),
    [
        (BINARY, [ZOO["logistic"], ZOO["union"], ZOO["tree"]]),
        (BINARY, [ZOO["ftrl"], ZOO["forest"], ZOO["bayes"]]),
        (REGRESSION, [_regression, lambda: river.tree.HoeffdingTreeRegressor(grace_period=30)]),
    ],
)
def test_predictions_equal_those_of_the_plain_loop(task: Task, factories: list[Any]) -> None:
    """Promise 4: chained with a scorer, with late labels, every score is River's own, bit for bit."""
    models = build_models([Definition(f"m{i}", factory) for i, factory in enumerate(factories)], task)
    names = NAMES[:4]
    core = LearnCore(LearnSettings(TOPIC, names), models, [Evaluator((), task) for _ in factories], VECTORS.__getitem__)
    score = ScoreCore(names, "p.vectors", 0, LiveModels(models))
    plain = [factory() for factory in factories]
    late: list[tuple[Example, dict[str, Any], Any]] = []
    for index, (payload, label) in enumerate(vectors(300, seed=7)):
        VECTORS[payload] = VECTORS[payload][:4]
        y = label if task == BINARY else VECTORS[payload][1]
        vector = Vector(str(index), "k", index, index, VECTORS[payload], (), Source("e", 0, 0), payload, index)
        (prediction,) = score.step(vector)
        x = dict(zip(names, VECTORS[payload], strict=True))
        for served, model in zip(prediction.scores, plain, strict=True):
            if task == REGRESSION:
                expected = model.predict_one(x)
            else:
                expected = model.predict_proba_one(x).get(True, 0.0) if model.predict_proba_one(x) else 0.5
            assert served.score.hex() == float(expected).hex()
            assert served.version == max(0, index - 5)
        assert prediction.source == Source("p.vectors", 0, index)
        example = Example("i", "k", 0, LABELLED, float(y or 0), 1, prediction.scores, payload, prediction.source)
        late.append((example, x, y))
        if len(late) > 5:
            example, x, y = late.pop(0)
            core.step(replace(example, seq=index - 5))
            for model in plain:
                model.learn_one(x, y)
    assert core.digests() == {f"m{i}": digest(model) for i, model in enumerate(plain)}


def _undisturbed(history: list[Example]) -> tuple[Log, LearnCore, list[dict[str, str]]]:
    """Fold everything in one life; return also the models' digests at every snapshot."""
    log, core = Log(), make_core()
    digests = []
    for item in history:
        log.evaluations.extend(core.step(item))
        if core.position % SETTINGS.snapshot_every == 0:
            digests.append(core.digests())
    return log, core, digests


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 3),
    plan=st.lists(
        st.tuples(st.integers(1, 70), st.sampled_from(("commit", "die", "flush", "flush and die", "drain"))),
        max_size=12,
    ),
    looks=st.sampled_from([0, 0, 1, 2, 4]),
)
def test_crashes_change_nothing(seed: int, plan: list[tuple[int, str]], looks: int) -> None:
    """Killed anywhere, however long snapshots take, the same models and evaluations, and every pointer once."""
    take = slowly(looks)
    history = examples(260, seed)
    store = ModelStore(f"memory://{uuid4()}")
    log = Log()
    worker = Worker(log, store, history, take)
    for size, event in plan:
        worker.batch(size, commit=event != "die")
        if event.startswith("flush"):
            worker.flush()
        if event == "drain":
            worker.drain()
        if event in {"die", "flush and die", "drain"}:
            worker = Worker(log, store, history, take)
            assert event != "drain" or worker.replayed == 0
    worker.batch(len(history))
    worker.drain()
    if looks:
        # What was still being taken when the last life ended is told by the next.
        Worker(log, store, history, take).drain()
    expected, core, digests = _undisturbed(history)
    assert worker.core.digests() == core.digests()
    assert worker.core.counters() == core.counters()
    assert log.evaluations == expected.evaluations
    assert [item.seq for item in log.pointers] == list(range(1 + len(MODELS) * len(digests)))
    for item in log.pointers[1:]:
        assert isinstance(item, ModelVersion)
        model = open_version(item, "p", store, KEYS)
        step = item.position // SETTINGS.snapshot_every
        assert digest(model) == item.digest == digests[step - 1][item.model]
        assert item.parent == (item.position - SETTINGS.snapshot_every if step > 1 else -1)
    again = Worker(log, store, history)
    assert (again.replayed, again.core.digests()) == (0, core.digests())


def test_first_record_declares_the_champion() -> None:
    """The alias of the pipeline file is record 0, told again in every life and kept once."""
    history = examples(10, 0)
    store = ModelStore(f"memory://{uuid4()}")
    log = Log()
    for _ in range(2):
        worker = Worker(log, store, history)
        worker.flush()
        (alias,) = worker.deferred
        worker.batch(5)
        assert isinstance(alias, ModelAlias)
        assert (alias.alias, alias.model, alias.author, alias.seq) == ("champion", "logistic", "pipeline", 0)
        worker.flush()
        assert worker.deferred == []
    assert len(log.pointers) == 1


def test_unavailable_store_loses_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away, everything is kept; when it is back, all pointers come, in order."""
    history = examples(200, 1)
    store = ModelStore(f"memory://{uuid4()}")
    log = Log()
    worker = Worker(log, store, history)
    with monkeypatch.context() as away:

        def fail(*_: object) -> None:
            raise OSError("away")

        away.setattr(store._files, "pipe_file", fail)
        worker.batch(130)
        for _ in range(2):
            with pytest.raises(Exception, match="away"):
                worker.flush()
        with pytest.raises(Exception, match="away"):
            worker.state.checkpoint(worker.positions())
    worker.flush()
    worker.batch(70)
    worker.drain()
    assert [item.seq for item in log.pointers] == list(range(11))


def test_bad_checkpoints_are_passed_over(tmp_path: Any) -> None:
    """A torn, forged or deleted checkpoint makes the one before it, or the log, the start."""
    history = examples(150, 2)
    store = ModelStore(str(tmp_path))
    log = Log()
    first = Worker(log, store, history)
    first.batch(70)
    first.drain()
    second = Worker(log, store, history)
    second.batch(80)
    second.drain()
    wanted = second.core.digests()
    older, newer = (tmp_path / entry.path for entry in store.entries("p", "_checkpoints"))
    whole = newer.read_bytes()
    newer.write_bytes(whole[:-100])
    torn = Worker(log, store, history)
    assert (torn.replayed, torn.core.digests()) == (80, wanted)
    # A whole and well-signed older checkpoint in the newer one's place is what it says it is: older.
    newer.write_bytes(older.read_bytes())
    swapped = Worker(log, store, history)
    assert (swapped.replayed, swapped.core.digests()) == (80, wanted)
    newer.unlink()
    older.write_bytes(whole[:-64] + bytes(64))
    forged = Worker(log, store, history)
    assert (forged.replayed, forged.core.digests()) == (150, wanted)


def test_refused_checkpoints_are_counted_for_those_who_watch(tmp_path: Any) -> None:
    """Each start counts those that it refuses, on top of what is committed; one of other models is no such thing."""
    history = examples(150, 2)
    store = ModelStore(str(tmp_path))
    log = Log()
    for size in (70, 80):
        worker = Worker(log, store, history)
        worker.batch(size)
        worker.drain()
    assert "checkpoints_refused" not in log.counters
    older, newer = (tmp_path / entry.path for entry in store.entries("p", "_checkpoints"))
    whole = newer.read_bytes()
    newer.write_bytes(whole[:-64] + bytes(64))
    one = Worker(log, store, history)
    one.batch(0)
    assert log.counters["checkpoints_refused"] == 1
    older.write_bytes(whole[:100])
    two = Worker(log, store, history)
    two.batch(0)
    assert log.counters["checkpoints_refused"] == 3
    assert log.counters == {**_undisturbed(history)[1].counters(), "checkpoints_refused": 3}
    # A start without any to refuse keeps the count, also by way of its own checkpoint.
    newer.write_bytes(whole)
    three = Worker(log, store, history)
    three.batch(0)
    assert log.counters["checkpoints_refused"] == 3
    other = make_core(("tree", "logistic"))
    assert make_state(other, store).load() is None
    # The older one is still cut short.
    assert other.counters()["checkpoints_refused"] == 1


def test_state_of_other_definitions_is_not_used() -> None:
    """A checkpoint of another feature set, or of models that are defined otherwise, is not loaded."""
    history = examples(80, 2)
    store = ModelStore(f"memory://{uuid4()}")
    worker = Worker(Log(), store, history)
    worker.batch(70)
    worker.drain()
    assert make_state(make_core(), store).load() is not None
    assert make_state(make_core(), store, feature_set="other").load() is None
    for names in (("logistic",), ("tree", "logistic"), ("logistic", "ftrl"), ("logistic", "tree", "bayes")):
        other = make_core(names)
        assert make_state(other, store).load() is None
        assert (other.position, other.digests()) == (0, make_core(names).digests())


@pytest.mark.parametrize("drained", [True, False], ids=["drained", "killed"])
@pytest.mark.parametrize(
    ("every", "names"),
    [(100, MODELS), (10, MODELS), (40, MODELS[:1]), (40, (*MODELS, "bayes")), (20, MODELS[:1])],
    ids=["fewer snapshots", "more snapshots", "a challenger less", "a challenger more", "the same count otherwise"],
)
def test_a_changed_pipeline_goes_on_telling(every: int, names: Sequence[str], drained: bool) -> None:
    """Whatever was told before, each snapshot that a changed pipeline takes from then on is told, in order."""
    history = examples(400, 8)
    store = ModelStore(f"memory://{uuid4()}")
    log = Log()
    before = Worker(log, store, history)
    before.batch(210)
    before.flush()
    before.batch(0)
    if drained:
        before.drain()
    told = len(log.pointers)
    after = Worker(log, store, history, names=names, settings=replace(SETTINGS, snapshot_every=every))
    after.batch(190)
    after.drain()
    later = [item for item in log.pointers[told:] if isinstance(item, ModelVersion) and item.position > 210]
    due = [(name, position) for position in range(every, 401, every) if position > 210 for name in names]
    assert [(item.model, item.position) for item in later] == due
    assert [item.seq for item in log.pointers] == list(range(len(log.pointers)))
    positions = [*dict.fromkeys(item.position for item in later)]
    assert [item.parent for item in later if item.model == names[0]][1:] == positions[:-1]
    for item in later:
        assert digest(open_version(item, "p", store, KEYS)) == item.digest


def test_reset_forgets_everything() -> None:
    """After a reset the core is untrained, and no checkpoint is left to be loaded."""
    history = examples(100, 3)
    store = ModelStore(f"memory://{uuid4()}")
    worker = Worker(Log(), store, history)
    worker.batch(70)
    worker.drain()
    worker.state.reset()
    assert worker.core.digests() == make_core().digests()
    assert (worker.core.position, worker.core.positions(), worker.core.watermark) == (0, {}, 0)
    assert make_state(make_core(), store).load() is None
    outputs = [output for item in history for output in worker.core.step(item)]
    assert outputs == _undisturbed(history)[0].evaluations


def test_replay_stores_its_backlog() -> None:
    """A long replay does not keep every snapshot in memory, and still tells of each."""
    history = examples(600, 4)
    store = ModelStore(f"memory://{uuid4()}")
    log = Log()
    Worker(log, store, history).batch(600)
    worker = Worker(log, store, history)
    assert worker.replayed == 600
    assert len(worker.core.captures) <= 4
    worker.drain()
    assert len(log.pointers) == 1 + 15 * len(MODELS)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_never_learned(odd: float) -> None:
    """An odd label or feature is refused and counted, an odd score not evaluated."""
    core, clean = make_core(), make_core()
    history = examples(60, 5)
    for item in history:
        core.step(item)
        clean.step(item)
    counts = core.counters()
    VECTORS[b"odd"] = (odd, 1.0, 1.0, 1, None)
    served = tuple(score._replace(score=odd) for score in history[0].scores)
    labelled = replace(history[0], outcome=LABELLED, scores=served)
    core.step(replace(labelled, label=odd))
    core.step(replace(labelled, label=1.0, vector=b"odd"))
    assert core.digests() == clean.digests()
    assert core.counters() == {**counts, "examples": 62, "refused": 2}
    assert all(math.isfinite(value) for item in core._evaluations(history[0]) for value in item.metrics.values())


def test_counters_add_up() -> None:
    """Every example was learned, skipped or refused, also after a restart."""
    log = Log()
    history = examples(150, 6)
    store = ModelStore(f"memory://{uuid4()}")
    for _ in range(3):
        worker = Worker(log, store, history)
        worker.batch(50)
        worker.flush()
    counts = log.counters
    assert counts["examples"] == 150 == counts["learned"] + counts["skipped"] + counts["refused"]
    assert counts["skipped"] == sum(item.outcome in {"expired", "revised"} for item in history)
    assert log.watermark == max(item.label_time for item in history)


def test_scores_that_were_served_are_evaluated() -> None:
    """An evaluation is of the served scores; a model without one is asked before it learns."""
    core = make_core(("logistic", "tree"))
    plain = [ZOO[name]() for name in ("logistic", "tree")]
    losses = [river.metrics.LogLoss(), river.metrics.LogLoss()]
    evaluations: tuple[Evaluation, ...] = ()
    for item in (each for each in examples(300, 8) if each.outcome == LABELLED and each.label is not None):
        if core.position == 100:
            break
        evaluations = core.step(item)
        x = features_of(NAMES, VECTORS[item.vector])
        served = {score.model: score.score for score in item.scores}
        for name, model, loss in zip(("logistic", "tree"), plain, losses, strict=True):
            known = model.predict_proba_one(x)
            own = known.get(True, 0.0) if known else 0.5
            loss.update(item.label != 0, {True: served.get(name, own)})
            model.learn_one(x, item.label != 0)
    assert [each.position for each in evaluations] == [100, 100]
    assert [each.count for each in evaluations] == [100, 100]
    for evaluation, loss in zip(evaluations, losses, strict=True):
        assert evaluation.metrics["LogLoss"] == pytest.approx(loss.get())
        assert set(evaluation.window) == {"LogLoss", "ROCAUC", "Accuracy"}


class Greedy:
    """A model that changes what it is given, and fails on some of it."""

    def predict_proba_one(self, x: dict[str, Any]) -> dict[bool, float]:
        return {True: 0.5}

    def learn_one(self, x: dict[str, Any], y: bool) -> None:
        x.clear()
        if y:
            raise ValueError("no")


def test_models_cannot_disturb_each_other() -> None:
    """A model that raises or empties its dict leaves the next one's learning as it was."""
    models = build_models([Definition("greedy", Greedy), Definition("tree", ZOO["tree"])], BINARY)
    core = LearnCore(SETTINGS, models, [Evaluator((), BINARY), Evaluator((), BINARY)], VECTORS.__getitem__)
    alone = make_core(("tree",))
    history = examples(200, 9)
    for item in history:
        core.step(replace(item, scores=()))
        alone.step(item)
    assert core.digests()["tree"] == alone.digests()["tree"]
    positives = sum(item.outcome in {"labelled", "defaulted"} and item.label == 1 for item in history)
    assert core.counters()["failed"] == positives == models.learners[0].failures
