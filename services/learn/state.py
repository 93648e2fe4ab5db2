"""The learner's trailing state: published snapshots of the models, and checkpoints of everything.

A snapshot is one model at a multiple of ``snapshot_every`` examples, for scorers and for the record. A
checkpoint is all that the fold has made, for this learner's next start; it is written seldom, as replaying a
few examples is cheaper than pickling every model each second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypedDict, cast

from riverrun.errors import UnavailableError
from riverrun.models.beside import Take, Taken, taken_now
from riverrun.models.publishing import sign_version
from riverrun.models.rehearsal import DEFAULT_LIMITS, Limits
from riverrun.models.signing import KeyRing
from riverrun.models.snapshot import (
    CHECKPOINT,
    Header,
    SnapshotError,
    library_versions,
    opened,
    sealed,
)
from riverrun.models.store import MissingModelError, ModelStore
from riverrun.records.items import Item, ModelAlias, ModelVersion, Source
from services.learn.core import Capture, CapturedModel, LearnCore, LearnedState

__all__ = ["LearnState", "LearnStateSettings"]

_LOG: Final = logging.getLogger(__name__)
_CHECKPOINTS: Final = "_checkpoints"
_ALIAS: Final = "champion"


@dataclass(frozen=True, slots=True)
class LearnStateSettings:
    """How a learner's state is kept.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    code_hash
        Hash of the pipeline file.
    feature_set
        Fingerprint of the vector's schema; state of another feature set is not used.
    checkpoint_every
        Examples between two checkpoints while running; one is written at a planned stop in any case.
    keep_checkpoints, keep_snapshots
        How many files are kept, the latter for each model.
    limits
        What opening a checkpoint may take.
    followed
        Whether scorers apart may wait for snapshots; one that is chained has the models themselves.
    """

    pipeline: str
    code_hash: str
    feature_set: str
    checkpoint_every: int = 50_000
    keep_checkpoints: int = 2
    keep_snapshots: int = 20
    limits: Limits = DEFAULT_LIMITS
    followed: bool = True


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A checkpoint of the fold at one instant, perhaps still being taken."""

    position: int
    time: int
    positions: Mapping[str, int]
    taken: Taken


class _Stored(TypedDict):
    fold: LearnedState
    unconfirmed: list[dict[str, object]]


class LearnState:
    """Stores what a `LearnCore` captured, tells of it, and checkpoints the core.

    The records that tell of snapshots are numbered by the fold, so that one made again after a crash is known
    to be the same: the n-th snapshot, over all models, has ``seq`` n, and 0 is the alias that the pipeline file
    declares. The count is committed with the fold's counters, so it goes on where it was when the pipeline file
    asks for other snapshots than before; what a replay took instead of those told of is forgotten then. A
    record is returned only when its file is in the store; a checkpoint that lies beyond a snapshot carries its
    records until they are surely committed, which they are when `flush` is called again.

    Parameters
    ----------
    core
        The fold.
    store
        Where files go.
    keys
        Signs what is written and verifies what is read.
    settings
        Names and intervals.
    """

    def __init__(self, core: LearnCore, store: ModelStore, keys: KeyRing, settings: LearnStateSettings) -> None:
        self._core = core
        self._store = store
        self._keys = keys
        self._settings = settings
        self._declared = core.models.champion
        self._alias_sent = False
        self._ready: list[ModelVersion] = []
        self._returned: list[ModelVersion] = []
        self._checkpointed = 0
        self._writing: _Checkpoint | None = None
        core.backlog = self._store_backlog
        core.renumbered = self._forget_replayed

    def load(self) -> Mapping[str, int] | None:
        """Restore the newest checkpoint that is whole, signed and of these models; None if none is.

        Raises
        ------
        UnavailableError
            If the store cannot be read.
        """
        settings = self._settings
        for entry in reversed(self._store.entries(settings.pipeline, _CHECKPOINTS)):
            try:
                header, state = self._open(entry.path)
                self._restore(header, cast("_Stored", state))
            except SnapshotError as error:
                # Forged, cut short or damaged: somebody should hear of it, though the log has everything.
                self._core.checkpoints_refused += 1
                _LOG.warning("checkpoint %s is passed over: %s", entry.path, error)
            except (MissingModelError, ValueError, KeyError, TypeError) as error:
                _LOG.warning("checkpoint %s is passed over: %s", entry.path, error)
            else:
                return dict(header.positions)
        return None

    def flush(self, positions: Mapping[str, int]) -> Sequence[Item]:
        """Store what was captured, and now and then a checkpoint; return the records that tell of it.

        Raises
        ------
        UnavailableError
            If the store cannot be written: what was captured is kept and tried again.
        """
        self._store_captures(wait=False)
        if self._writing is not None and self._writing.taken.ready():
            self._write_checkpoint(self._writing)
        # One that lies beyond a snapshot that is still being taken could not carry its records.
        due = self._core.position - self._checkpointed >= self._settings.checkpoint_every
        if due and self._writing is None and not self._core.captures:
            # What the flush before returned is committed by now; what this one returns is not.
            self._returned = []
            checkpoint = self._writing = self._begin_checkpoint(positions, self._core.take)
            if checkpoint.taken.ready():
                self._write_checkpoint(checkpoint)
        items: list[Item] = [] if self._alias_sent else [self._alias()]
        items.extend(self._ready)
        self._alias_sent = True
        self._returned, self._ready = self._ready, []
        return items

    def wants_writing(self) -> bool:
        """Tell whether a snapshot has been taken, or is stored and not told of, which scorers apart wait for."""
        captures = self._core.captures
        return self._settings.followed and bool(self._ready or (captures and captures[0].taken.ready()))

    def checkpoint(self, positions: Mapping[str, int]) -> None:
        """Write everything, unless nothing came since.

        Raises
        ------
        UnavailableError
            If the store cannot be written.
        """
        self._store_captures(wait=True)
        if self._core.position != self._checkpointed:
            self._drop_checkpoint()
            self._write_checkpoint(self._begin_checkpoint(positions, taken_now))

    def reset(self) -> None:
        """Delete all checkpoints and put the core back to before the first example.

        Raises
        ------
        UnavailableError
            If the store cannot be written.
        """
        pipeline = self._settings.pipeline
        self._store.prune(pipeline, _CHECKPOINTS, keep=0)
        self._core.reset()
        self._drop_checkpoint()
        self._ready, self._returned = [], []
        self._checkpointed = 0

    def close(self) -> None:
        """Give up on the snapshots that are being taken."""
        self._core.drop_captures()
        self._drop_checkpoint()

    def _open(self, path: str) -> tuple[Header, object]:
        limits = self._settings.limits
        content = self._store.read(path, most_mb=limits.memory_mb)
        return opened(content, self._keys, self._core.settings.modules, limits)

    def _restore(self, header: Header, state: _Stored) -> None:
        settings = self._settings
        wanted = (settings.pipeline, CHECKPOINT, settings.feature_set)
        if (header.pipeline, header.model, header.feature_set) != wanted:
            raise ValueError("it is of another pipeline or feature set")
        pending = [_version(fields) for fields in state["unconfirmed"]]
        self._core.restore(state["fold"])
        self._ready = pending
        self._checkpointed = header.position

    def _drop_checkpoint(self) -> None:
        if self._writing is not None:
            self._writing.taken.cancel()
            self._writing = None

    def _begin_checkpoint(self, positions: Mapping[str, int], take: Take) -> _Checkpoint:
        core = self._core
        own = core.positions()
        if any(position > positions.get(name, 0) for name, position in own.items()):
            raise AssertionError(f"the learner stands at {own}, beyond what is committed: {dict(positions)}")
        unconfirmed = {item.seq: item for item in (*self._returned, *self._ready)}
        state = _Stored(fold=core.state(), unconfirmed=[_fields(item) for item in unconfirmed.values()])
        return _Checkpoint(core.position, core.watermark, own, take([state]))

    def _write_checkpoint(self, checkpoint: _Checkpoint) -> None:
        settings = self._settings
        ((payload, digest),) = checkpoint.taken.result()
        header = Header(
            pipeline=settings.pipeline,
            model=CHECKPOINT,
            position=checkpoint.position,
            time=checkpoint.time,
            positions=checkpoint.positions,
            digest=digest,
            code_hash=settings.code_hash,
            feature_set=settings.feature_set,
            seed=0,
            libraries=library_versions(),
        )
        content = sealed(header, payload, self._keys)
        self._store.write(settings.pipeline, _CHECKPOINTS, checkpoint.position, digest, content)
        self._writing = None
        self._checkpointed = checkpoint.position
        self._store.prune(settings.pipeline, _CHECKPOINTS, settings.keep_checkpoints, upto=checkpoint.position)

    def _store_backlog(self) -> None:
        try:
            self._store_captures(wait=True)
        except UnavailableError as error:
            _LOG.warning("snapshots wait in memory during the replay: %s", error)

    def _forget_replayed(self) -> None:
        self._ready = [item for item in self._ready if item.position <= self._checkpointed]

    def _store_captures(self, *, wait: bool) -> None:
        captures, settings = self._core.captures, self._settings
        newest = 0
        while captures and (wait or captures[0].taken.ready()):
            capture = captures[0]
            versions = [self._publish(capture, index, part) for index, part in enumerate(capture.models)]
            self._ready.extend(versions)
            captures.pop(0)
            newest = capture.position
        if newest:
            for learner in self._core.models.learners:
                self._store.prune(settings.pipeline, learner.name, settings.keep_snapshots, upto=newest)

    def _publish(self, capture: Capture, index: int, part: CapturedModel) -> ModelVersion:
        settings = self._settings
        payload, digest = capture.taken.result()[index]
        header = Header(
            pipeline=settings.pipeline,
            model=part.model,
            position=capture.position,
            time=capture.time,
            positions=capture.positions,
            digest=digest,
            code_hash=settings.code_hash,
            feature_set=settings.feature_set,
            seed=part.seed,
            libraries=library_versions(),
        )
        content = sealed(header, payload, self._keys)
        uri = self._store.write(settings.pipeline, part.model, capture.position, digest, content)
        version = ModelVersion(
            model=part.model,
            position=capture.position,
            time=capture.time,
            parent=capture.parent,
            uri=uri,
            digest=digest,
            signature="",
            code_hash=settings.code_hash,
            feature_set=settings.feature_set,
            libraries=dict(library_versions()),
            seed=part.seed,
            metrics=dict(part.metrics),
            source=capture.source,
            seq=1 + capture.number + index,
        )
        sign_version(version, settings.pipeline, self._keys)
        return version

    def _alias(self) -> ModelAlias:
        topic, partition = self._core.settings.topic, self._core.settings.partition
        return ModelAlias(
            alias=_ALIAS,
            model=self._declared,
            author="pipeline",
            reason="declared in the pipeline file",
            source=Source(topic, partition, -1),
            seq=0,
        )


def _fields(item: ModelVersion) -> dict[str, object]:
    fields = asdict(item)
    return {**fields, "source": tuple(item.source)}


def _version(fields: dict[str, object]) -> ModelVersion:
    source = Source(*cast("tuple[str, int, int]", fields["source"]))
    rest = {name: value for name, value in fields.items() if name != "source"}
    make: Callable[..., ModelVersion] = ModelVersion
    return make(**rest, source=source)
