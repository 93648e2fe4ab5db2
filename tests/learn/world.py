"""A small world around a learner: examples, models, and a log that keeps what the runtime would keep."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from riverrun.models.adapter import BINARY, Task
from riverrun.models.beside import Take, Taken, taken_now
from riverrun.models.evaluation import Evaluator
from riverrun.models.modelset import build_models
from riverrun.models.signing import KeyRing
from riverrun.models.store import ModelStore
from riverrun.records.items import (
    DEFAULTED,
    EXPIRED,
    LABELLED,
    REVISED,
    Evaluation,
    Example,
    FieldValue,
    Item,
    ModelAlias,
    ModelScore,
    ModelVersion,
    Source,
)
from services.learn.core import LearnCore, LearnSettings
from services.learn.state import LearnState, LearnStateSettings
from tests.models.test_adapter import Definition
from tests.models.zoo import ZOO, stream

TOPIC = "p.examples"
NAMES = ("a", "b", "d", "c", "sometimes")
KEYS = KeyRing(Ed25519PrivateKey.from_private_bytes(bytes(32)))
SETTINGS = LearnSettings(topic=TOPIC, features=NAMES, evaluate_every=25, snapshot_every=40)
STATE_SETTINGS = LearnStateSettings("p", "code", "features", checkpoint_every=60, keep_snapshots=1_000)
MODELS = ("logistic", "tree")

VECTORS: dict[bytes, tuple[FieldValue, ...]] = {}
"""What is in a framed vector, by its bytes: the real codec is tested elsewhere."""


def vectors(count: int, seed: int) -> list[tuple[bytes, bool]]:
    """Make framed vectors and their labels; one feature is missing now and then."""
    rng = random.Random(seed)
    made = []
    for index, (x, label) in enumerate(stream(count, seed)):
        payload = b"%d/%d" % (seed, index)
        sometimes = rng.choice((None, 1.0))
        VECTORS[payload] = (x["a"], x["b"], x["d"], x["c"], sometimes)
        made.append((payload, label))
    return made


def examples(count: int, seed: int, writers: int = 2) -> list[Example]:
    """Make examples of every outcome, from several writers, each numbered by its own."""
    rng = random.Random(seed)
    numbers = [0] * writers
    made = []
    for index, (payload, label) in enumerate(vectors(count, seed)):
        outcome = rng.choices((LABELLED, DEFAULTED, EXPIRED, REVISED), (8, 1, 1, 1))[0]
        writer = rng.randrange(writers)
        made.append(
            Example(
                id=str(index),
                key="k",
                time=index * 10,
                outcome=outcome,
                label=None if outcome == EXPIRED else float(label),
                label_time=index * 10 + 5,
                scores=tuple(ModelScore(name, 0, rng.random()) for name in MODELS if rng.random() < 0.9),
                vector=payload,
                source=Source("p.predictions", writer, index),
                seq=numbers[writer],
                writer=writer,
            )
        )
        numbers[writer] += 1
    return made


def make_core(
    names: Sequence[str] = MODELS, settings: LearnSettings = SETTINGS, task: Task = BINARY, take: Take = taken_now
) -> LearnCore:
    """Build a learner of models from the zoo."""
    models = build_models([Definition(name, ZOO[name], index) for index, name in enumerate(names)], task)
    return LearnCore(settings, models, [Evaluator((), task, 50) for _ in names], VECTORS.__getitem__, take)


def make_state(core: LearnCore, store: ModelStore, **changes: Any) -> LearnState:
    """Build its trailing state."""
    fields = {name: getattr(STATE_SETTINGS, name) for name in STATE_SETTINGS.__dataclass_fields__}
    return LearnState(core, store, KEYS, LearnStateSettings(**{**fields, **changes}))


@dataclass
class Log:
    """What is committed: how many examples were folded, and the outputs as links keep them."""

    folded: int = 0
    evaluations: list[Evaluation] = field(default_factory=list)
    pointers: list[ModelVersion | ModelAlias] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    watermark: int = 0

    def point(self, items: Sequence[Item]) -> None:
        """Append the numbered records that are not there yet, as a link does."""
        for item in items:
            assert isinstance(item, ModelVersion | ModelAlias)
            known = self.pointers[-1].seq + 1 if self.pointers else 0
            if item.seq >= known:
                assert item.seq == known, "a pointer was left out"
                self.pointers.append(item)


class Slow:
    """Snapshots that were taken when they were asked for, and are there after so many looks."""

    def __init__(self, states: Sequence[object], looks: int) -> None:
        self._taken = taken_now(states)
        self._looks = looks
        self.given_up = False

    def ready(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    def result(self) -> Sequence[tuple[bytes, str]]:
        assert not self.given_up
        return self._taken.result()

    def cancel(self) -> None:
        self.given_up = True


def slowly(looks: int) -> Take:
    """Return what takes snapshots that are there after so many looks."""

    def take(states: Sequence[object]) -> Taken:
        return Slow(states, looks)

    return take


class Worker:
    """One life of a learner: restores itself as the runtime would, then folds and commits."""

    def __init__(
        self, log: Log, store: ModelStore, history: Sequence[Example], take: Take = taken_now, **changes: Any
    ) -> None:
        self.log = log
        self.history = history
        made = {name: changes.pop(name) for name in ("names", "settings") if name in changes}
        self.core = make_core(take=take, **made)
        self.state = make_state(self.core, store, **changes)
        self.deferred: list[Item] = []
        start = self.state.load() or {}
        self.replayed = 0
        for item in history[: log.folded]:
            if item.seq >= start.get(f"{TOPIC}/0/{item.writer}", 0):
                self.core.replay(item)
                self.replayed += 1
        if log.folded:
            self.core.resume(log.counters, log.watermark)

    def positions(self) -> dict[str, int]:
        """Return what is committed, as the runtime tells it."""
        found: dict[str, int] = {}
        for item in self.history[: self.log.folded]:
            found[f"{TOPIC}/0/{item.writer}"] = item.seq + 1
        return found

    def batch(self, size: int, commit: bool = True) -> None:
        """Fold a batch; then commit it, or die before that."""
        log = self.log
        deferred, self.deferred = self.deferred, []
        taken = self.history[log.folded : log.folded + size]
        outputs = [output for item in taken for output in self.core.step(item)]
        if commit:
            log.point(deferred)
            log.folded += len(taken)
            log.evaluations.extend(outputs)
            log.counters, log.watermark = self.core.counters(), self.core.watermark

    def flush(self) -> None:
        """Write trailing state; what it returns goes with the next commit."""
        self.deferred.extend(self.state.flush(self.positions()))

    def drain(self) -> None:
        """Stop as planned."""
        self.flush()
        self.batch(0)
        self.state.checkpoint(self.positions())
