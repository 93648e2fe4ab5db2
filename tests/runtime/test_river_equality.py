"""Promise 4: riverrun's predictions equal those of the plain River loop, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import pytest
from river import linear_model, tree

from riverrun.pipeline import Model
from riverrun.records.items import DEFAULTED, LABELLED, Example, FieldValue, Prediction, Vector
from riverrun.records.topics import Kind
from riverrun.testing.small_pipeline import make_pipeline
from tests.runtime.worlds import Doomed, MemoryWorld, messages

NAMES = ("size", "worth", "busy")


class _Plain(Protocol):
    def predict_proba_one(self, x: dict[str, FieldValue]) -> dict[bool, float]: ...

    def learn_one(self, x: dict[str, FieldValue], y: bool) -> None: ...


def _tree() -> tree.HoeffdingTreeClassifier:
    return tree.HoeffdingTreeClassifier(grace_period=10)


@pytest.fixture
def world(tmp_path: Path) -> MemoryWorld:
    """A world whose pipeline has a champion and a challenger of another kind."""
    return MemoryWorld(tmp_path, make_pipeline("promise-four", challengers=[Model("tree", _tree)]))


def _undisturbed(world: MemoryWorld) -> None:
    world.run(batch_limit=17)


def _killed(world: MemoryWorld) -> None:
    for at in (40, 90, 150, 60):
        Doomed(world, batch_limit=17).rounds_until_killed(at)
    world.run(batch_limit=17)


@pytest.mark.parametrize("run", [_undisturbed, _killed])
def test_predictions_equal_the_plain_loop(world: MemoryWorld, run: Callable[[MemoryWorld], None]) -> None:
    """River's own calls on the logged vectors, each label learned when its example came, give the same doubles."""
    world.publish(messages(150))
    run(world)
    vectors = [item for item, _ in world.items(Kind.VECTORS) if isinstance(item, Vector)]
    examples = [item for item, _ in world.items(Kind.EXAMPLES) if isinstance(item, Example)]
    predictions = [item for item, _ in world.items(Kind.PREDICTIONS) if isinstance(item, Prediction)]
    assert len(vectors) == len(predictions) == 150
    plain = {"line": cast("_Plain", linear_model.LogisticRegression()), "tree": cast("_Plain", _tree())}
    learned = 0
    for vector, prediction in zip(vectors, predictions, strict=True):
        x = dict(zip(NAMES, vector.values, strict=True))
        # The order of examples and predictions is in the log: a score names how many examples came before it.
        while learned < prediction.scores[0].version:
            example = examples[learned]
            learned += 1
            if example.outcome in (LABELLED, DEFAULTED) and example.label is not None:
                past = dict(zip(NAMES, world.small.codecs.decode_vector(example.vector).values, strict=True))
                for model in plain.values():
                    model.learn_one(past, example.label != 0.0)
        assert [score.model for score in prediction.scores] == ["line", "tree"]
        for score in prediction.scores:
            wanted = plain[score.model].predict_proba_one(x).get(True, 0.5 if not learned else 0.0)
            assert score.score == wanted
    assert learned > 100


def test_a_label_is_learned_before_later_predictions(world: MemoryWorld) -> None:
    """Chained, a prediction is made by models that have learned every example of an earlier event."""
    world.publish(messages(150))
    world.run(batch_limit=40)
    predictions = [item for item, _ in world.items(Kind.PREDICTIONS) if isinstance(item, Prediction)]
    versions = [prediction.scores[0].version for prediction in predictions]
    assert versions == sorted(versions)
    assert len(set(versions)) > 60
