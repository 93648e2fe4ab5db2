"""The stage's fold: each example is evaluated by the score that was served, then learned by every model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, NotRequired, TypedDict, cast

from riverrun.models.adapter import Learner, features_of, is_finite
from riverrun.models.beside import Take, Taken, taken_now
from riverrun.models.digest import digest
from riverrun.models.evaluation import Evaluator
from riverrun.models.footprint import check_footprint
from riverrun.models.modelset import ModelSet
from riverrun.models.pickling import dump_state, load_state
from riverrun.models.snapshot import captured
from riverrun.records.items import DEFAULTED, LABELLED, Evaluation, Example, FieldValue, Source

__all__ = ["Capture", "CapturedModel", "LearnCore", "LearnSettings", "LearnedState"]

_BACKLOG: Final = 4
"""Captures that a replay may hold in memory before they are stored."""


@dataclass(frozen=True, slots=True)
class LearnSettings:
    """What a learner needs to know of its pipeline.

    Parameters
    ----------
    topic
        The ``examples`` topic.
    features
        The features' names, in the vector's order.
    evaluate_every, snapshot_every
        After how many examples evaluations are sent and snapshots taken, counted from the first example ever.
    partition
        The partition of ``examples``: the learner's shard.
    memory
        What all models may take, in bytes; 0 for no bound. Looked at whenever a snapshot is taken.
    modules
        Modules whose classes the models may be made of, besides River's: the pipeline file's.
    """

    topic: str
    features: tuple[str, ...]
    evaluate_every: int = 1_000
    snapshot_every: int = 10_000
    partition: int = 0
    modules: frozenset[str] = frozenset()
    memory: int = 0


@dataclass(frozen=True, slots=True)
class CapturedModel:
    """One model at the instant of a capture: what its published record will say of it, but for its state."""

    model: str
    seed: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Capture:
    """All models, as they were after ``position`` examples; ``positions`` as a trailing state's.

    ``number`` counts the snapshots that were taken before, and ``parent`` is the position of the last ones, or -1.
    ``taken`` has the models' states, in the same order, perhaps not yet.
    """

    position: int
    number: int
    parent: int
    time: int
    positions: Mapping[str, int]
    source: Source
    models: tuple[CapturedModel, ...]
    taken: Taken


class LearnedState(TypedDict):
    """All that the fold has made, in types that a snapshot may hold."""

    origin: tuple[tuple[str, str], ...]
    models: list[object]
    evaluations: list[object]
    position: int
    captured: NotRequired[int]
    next: dict[int, int]
    counters: dict[str, int]
    watermark: int


class LearnCore:
    """Folds the examples, in the order of their log, into the models and their evaluations.

    Only examples with a label (``labelled``, ``defaulted``) are evaluated and learned; those ``expired`` or
    ``revised`` only count. An example is refused, and counted, if its label or one of its features is not
    finite.

    Parameters
    ----------
    settings
        What it needs to know of the pipeline.
    models
        The models, untrained; a scorer in the same chain shares them.
    evaluators
        One for each model.
    read_vector
        Returns the values of a framed vector.
    take
        Takes snapshots of the models.

    Attributes
    ----------
    captures
        Snapshots taken and not yet stored, oldest first. The trailing state removes them.
    take
        As given.
    checkpoints_refused
        How many stored checkpoints this start has refused: forged, cut short or damaged. The trailing state counts.
    backlog
        Called during a replay when many captures wait; what is replayed is committed, so they may be stored.
    renumbered
        Called if a replay took other snapshots than the learner before did, as the pipeline file has changed: what
        the replay captured must not be told of.
    """

    def __init__(
        self,
        settings: LearnSettings,
        models: ModelSet,
        evaluators: Sequence[Evaluator],
        read_vector: Callable[[bytes], tuple[FieldValue, ...]],
        take: Take = taken_now,
    ) -> None:
        self.settings = settings
        self.models = models
        self.captures: list[Capture] = []
        self.backlog: Callable[[], None] | None = None
        self.renumbered: Callable[[], None] | None = None
        self._evaluators = tuple(evaluators)
        self._pairs = tuple(zip(models.learners, self._evaluators, strict=True))
        self._last = len(self._pairs) - 1
        self._read_vector = read_vector
        self.take = take
        self._next: dict[int, int] = {}
        self._watermark = 0
        self._learned = self._skipped = self._refused = self._failed = 0
        self._snapshots, self._captured = 0, -1
        self.checkpoints_refused = self._refused_before = 0
        self._fresh = [captured(learner.estimator) for learner in models.learners]
        # A copy of the evaluators' empty state: River's own metrics are live objects.
        self._blank = dump_state([evaluator.state() for evaluator in self._evaluators])

    @property
    def watermark(self) -> int:
        """The greatest event time folded, in milliseconds; 0 before the first."""
        return self._watermark

    @property
    def position(self) -> int:
        """How many examples were folded."""
        return self.models.position

    @property
    def origin(self) -> tuple[tuple[str, str], ...]:
        """Each model's name and untrained state's digest: what a stored state must have grown from."""
        learners = self.models.learners
        return tuple((learner.name, found) for learner, (_, found) in zip(learners, self._fresh, strict=True))

    def positions(self) -> dict[str, int]:
        """Return the next position of each writer, as trailing states name them."""
        place = f"{self.settings.topic}/{self.settings.partition}"
        return {f"{place}/{writer}": position for writer, position in sorted(self._next.items())}

    def digests(self) -> dict[str, str]:
        """Return the digest of every model."""
        return {learner.name: digest(learner.estimator) for learner in self.models.learners}

    def step(self, item: Example) -> tuple[Evaluation, ...]:
        """Fold one example; return every model's evaluation if one is due."""
        models, settings = self.models, self.settings
        position = models.position + 1
        self._next[item.writer] = item.seq + 1
        self._watermark = max(self._watermark, item.time, item.label_time)
        if item.label is not None and item.outcome in _LEARNABLE:
            self._learn(item, item.label)
        else:
            self._skipped += 1
        models.position = position
        if position % settings.snapshot_every == 0:
            self._capture(item)
        if position % settings.evaluate_every == 0:
            return self._evaluations(item)
        return ()

    def replay(self, item: Example) -> None:
        """Fold one example again; what it captures is kept, as it may not have been stored before."""
        self.step(item)
        if len(self.captures) > _BACKLOG and self.backlog is not None:
            self.backlog()

    def prefetch(self, items: Sequence[Example]) -> None:
        """Nothing is needed from outside."""

    def counters(self) -> dict[str, int]:
        """Return how many examples came, and what became of them.

        ``learned``, ``skipped`` (without a label to learn) and ``refused`` add up to ``examples``; ``failed``
        counts those learned examples that some model raised on, and ``snapshots`` those taken of all models.
        ``checkpoints_refused``, over all starts, is there if any were.
        """
        checkpoints = self._refused_before + self.checkpoints_refused
        counts = {
            "examples": self._learned + self._skipped + self._refused,
            "learned": self._learned,
            "skipped": self._skipped,
            "refused": self._refused,
            "failed": self._failed,
            "snapshots": self._snapshots,
        }
        return counts | {"checkpoints_refused": checkpoints} if checkpoints else counts

    def resume(self, counters: Mapping[str, int], watermark: int) -> None:
        """Take over the committed counters and watermark, and go on with the numbers of the snapshots told of."""
        snapshots = counters.get("snapshots", self._snapshots)
        if snapshots != self._snapshots:
            self._snapshots = snapshots
            self.drop_captures()
            if self.renumbered is not None:
                self.renumbered()
        self._learned = counters.get("learned", 0)
        self._skipped = counters.get("skipped", 0)
        self._refused = counters.get("refused", 0)
        self._failed = counters.get("failed", 0)
        self._refused_before = counters.get("checkpoints_refused", 0)
        self._watermark = watermark

    def state(self) -> LearnedState:
        """Return everything that the fold has made.

        It shares the models, so it must be pickled before the next step.
        """
        return LearnedState(
            origin=self.origin,
            models=[learner.estimator for learner in self.models.learners],
            evaluations=[evaluator.state() for evaluator in self._evaluators],
            position=self.models.position,
            captured=self._captured,
            next=dict(self._next),
            counters=self.counters(),
            watermark=self._watermark,
        )

    def restore(self, state: LearnedState) -> None:
        """Go on from a `state`.

        Raises
        ------
        ValueError
            If it grew from other models, or was evaluated by other metrics, than this pipeline's.
        """
        if state["origin"] != self.origin:
            raise ValueError("the models are defined otherwise")
        for evaluator, evaluation in zip(self._evaluators, state["evaluations"], strict=True):
            evaluator.restore(evaluation)
        for learner, estimator in zip(self.models.learners, state["models"], strict=True):
            learner.estimator = estimator
        position, every = state["position"], self.settings.snapshot_every
        self.models.position = position
        # Checkpoints from before snapshots were counted were made at multiples of what is the interval now.
        self._captured = state.get("captured", position - position % every or -1)
        self._snapshots = state["counters"].get("snapshots", position // every * len(self._pairs))
        self._next = dict(state["next"])
        self.drop_captures()
        self.resume(state["counters"], state["watermark"])

    def reset(self) -> None:
        """Go back to before the first example."""
        modules = self.settings.modules
        self.restore(
            LearnedState(
                origin=self.origin,
                models=[load_state(payload, modules) for payload, _ in self._fresh],
                evaluations=cast("list[object]", load_state(self._blank, modules)),
                position=0,
                captured=-1,
                next={},
                counters={},
                watermark=0,
            )
        )

    def drop_captures(self) -> None:
        """Give up on the snapshots that are not stored yet."""
        for capture in self.captures:
            capture.taken.cancel()
        self.captures.clear()

    def _learn(self, example: Example, label: float) -> None:
        if not isfinite(label):
            self._refused += 1
            return
        values = self._read_vector(example.vector)
        clean = is_finite(values)
        x = features_of(self.settings.features, values)
        failed = False
        for index, (learner, evaluator) in enumerate(self._pairs):
            score = _served(example, index, learner)
            if score is None:
                score = learner.predict(x)
            if isfinite(score):
                evaluator.update(label, score)
            # Each model has its own copy: what one does to it must not reach the next. The last may have the original.
            if clean and not learner.learn(x if index == self._last else x.copy(), label):
                failed = True
        if clean:
            self._learned += 1
            self._failed += failed
        else:
            self._refused += 1

    def _capture(self, example: Example) -> None:
        if self.settings.memory:
            check_footprint({learner.name: learner.estimator for learner in self.models.learners}, self.settings.memory)
        taken = self.take([learner.estimator for learner in self.models.learners])
        parts = tuple(
            CapturedModel(learner.name, learner.seed, evaluator.metrics()) for learner, evaluator in self._pairs
        )
        self.captures.append(
            Capture(
                position=self.position,
                number=self._snapshots,
                parent=self._captured,
                time=example.time,
                positions=self.positions(),
                source=self._source(example),
                models=parts,
                taken=taken,
            )
        )
        self._snapshots += len(parts)
        self._captured = self.position

    def _evaluations(self, example: Example) -> tuple[Evaluation, ...]:
        return tuple(
            Evaluation(
                model=learner.name,
                position=self.position,
                time=example.time,
                count=evaluator.count,
                metrics=evaluator.metrics(),
                window=evaluator.window_metrics(),
                source=self._source(example),
            )
            for learner, evaluator in self._pairs
        )

    def _source(self, example: Example) -> Source:
        return Source(self.settings.topic, self.settings.partition, example.seq)


_LEARNABLE: Final = frozenset({LABELLED, DEFAULTED})


def _served(example: Example, index: int, learner: Learner) -> float | None:
    """Return the score that a model served for the example, looking first where it usually is."""
    scores = example.scores
    if index < len(scores) and scores[index].model == learner.name:
        return scores[index].score
    for served in scores:
        if served.model == learner.name:
            return served.score
    return None
