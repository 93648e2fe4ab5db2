"""The models of a pipeline together: the champion first, the challengers in its shadow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from riverrun.models.adapter import Features, Learner, ModelDefinition, ModelError, Task, make_learner
from riverrun.records.items import ModelScore

__all__ = ["ModelSet", "PinnedModels", "Scorer", "build_models", "champion_first"]


class Scorer(Protocol):
    """Whatever scores a vector by all models of a pipeline."""

    def score(self, x: Features) -> tuple[ModelScore, ...]:
        """Return every model's score, the champion's first, each with the version that gave it."""
        ...


class ModelSet:
    """Live models that learn: all have folded the same ``position`` records of ``examples``.

    Attributes
    ----------
    learners
        In the order of the pipeline file, which never changes: states and positions refer to it.
    position
        How many records of ``examples`` were folded; the version of every score.
    """

    __slots__ = ("_scoring", "learners", "position")

    def __init__(self, learners: Sequence[Learner]) -> None:
        if not learners:
            raise ModelError("a pipeline needs a champion")
        self.learners = tuple(learners)
        self.position = 0
        self._scoring = self.learners

    @property
    def champion(self) -> str:
        """The name of the model whose prediction counts."""
        return self._scoring[0].name

    def promote(self, model: str) -> None:
        """Make another model the champion.

        Raises
        ------
        ModelError
            If the pipeline has no such model.
        """
        self._scoring = champion_first(self.learners, model)

    def score(self, x: Features) -> tuple[ModelScore, ...]:
        """Return every model's score, the champion's first."""
        position = self.position
        return tuple([ModelScore(learner.name, position, learner.predict(x)) for learner in self._scoring])


class PinnedModels:
    """Models as they were published, each at its own version; immutable but for the counts of failures."""

    __slots__ = ("learners", "versions")

    def __init__(self, learners: Sequence[Learner], versions: Sequence[int]) -> None:
        self.learners = tuple(learners)
        self.versions = tuple(versions)

    def score(self, x: Features) -> tuple[ModelScore, ...]:
        """Return every model's score, the champion's first."""
        pairs = zip(self.learners, self.versions, strict=True)
        return tuple([ModelScore(learner.name, version, learner.predict(x)) for learner, version in pairs])


def build_models(definitions: Iterable[ModelDefinition], task: Task) -> ModelSet:
    """Build a pipeline's untrained models.

    Raises
    ------
    ModelError
        If one does not fit the task, is not reproducible, or has the name of another.
    """
    learners = [make_learner(definition, task) for definition in definitions]
    names = [learner.name for learner in learners]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(f"two models are called {name!r}", hint="give each its own name")
    return ModelSet(learners)


def champion_first(learners: Sequence[Learner], model: str) -> tuple[Learner, ...]:
    """Return the learners with ``model`` at the front, the others in their order.

    Raises
    ------
    ModelError
        If it is not among them.
    """
    if all(learner.name != model for learner in learners):
        raise ModelError(
            f"there is no model {model!r} to be champion",
            hint=f"the pipeline has {', '.join(learner.name for learner in learners)}",
        )
    return tuple(sorted(learners, key=lambda learner: learner.name != model))
