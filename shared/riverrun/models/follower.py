"""A scorer apart from the learner: follows the ``models`` topic and loads what was published.

Loading goes on in a thread of its own, as a model may take longer than a batch; between two vectors the
scorer takes whatever is complete. A version that cannot be trusted or read changes nothing: the last good one
stays, and a scorer that has none yet takes the newest that is good. Nor does one that is older than what was
published before, however well it is signed: somebody replays it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from riverrun.errors import RiverrunError, UnavailableError
from riverrun.models.adapter import MODEL_FAILURES, Learner
from riverrun.models.modelset import ModelSet, PinnedModels, champion_first
from riverrun.models.publishing import open_version, verify_version
from riverrun.models.rehearsal import DEFAULT_LIMITS, Limits
from riverrun.models.signing import KeyRing, SignatureError
from riverrun.models.store import ModelStore
from riverrun.records.items import ModelAlias, ModelVersion

__all__ = ["FollowerSettings", "FollowerTroubleError", "ModelFollower"]

_LOG: Final = logging.getLogger(__name__)
_ALIAS: Final = "champion"
_FALLBACKS: Final = 5


class FollowerTroubleError(RiverrunError):
    """A published model cannot be used here, or did not arrive in time."""


@dataclass(frozen=True, slots=True)
class FollowerSettings:
    """What a follower needs to know.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    feature_set
        Fingerprint of the vector's schema: a model of another feature set is not used.
    modules
        Modules whose classes the models may be made of, besides River's: the pipeline file's.
    retry_seconds
        How long to wait before a store that was away is tried again.
    limits
        What opening a snapshot may take.
    """

    pipeline: str
    feature_set: str
    modules: frozenset[str] = frozenset()
    retry_seconds: float = 2.0
    limits: Limits = DEFAULT_LIMITS


@dataclass(slots=True)
class _Wanted:
    """The newest version of each model that is still to be loaded, and whether one is being loaded.

    ``passed_over`` are versions that were not loaded since a newer one came; the newest of them last. ``held`` until
    the first `ModelFollower.settle`: of all that was published before, only the newest is worth a look, and the files
    of most others are gone by now.
    """

    versions: dict[str, ModelVersion] = field(default_factory=dict)
    passed_over: dict[str, list[ModelVersion]] = field(default_factory=dict)
    loading: bool = False
    held: bool = True
    closed: bool = False


class ModelFollower:
    """Holds the newest published version of every model; untrained ones until the first arrives.

    Parameters
    ----------
    models
        The pipeline's models, freshly built. The follower takes them over.
    store, keys
        Where snapshots lie, and whose signatures are trusted.
    settings
        What it follows.

    Attributes
    ----------
    trouble
        What was wrong with the last version that could not be used; empty if nothing.
    refused
        How many versions were refused so far: forged, damaged or replayed. One of other features is no such thing.
    """

    def __init__(self, models: ModelSet, store: ModelStore, keys: KeyRing, settings: FollowerSettings) -> None:
        self.trouble = ""
        self.refused = 0
        self._store = store
        self._keys = keys
        self._settings = settings
        self._learners: dict[str, Learner] = {learner.name: learner for learner in models.learners}
        self._versions = dict.fromkeys(self._learners, 0)
        self._published = dict.fromkeys(self._learners, 0)
        self._champion = models.champion
        self._wanted = _Wanted()
        self._changed = threading.Condition()
        self._current = self._pin()
        self._thread = threading.Thread(target=self._run, name="riverrun-models", daemon=True)
        self._thread.start()

    def current(self) -> PinnedModels:
        """Return the models to score with now."""
        return self._current

    def versions(self) -> dict[str, int]:
        """Return the version of each model in use: how many examples it had learned; 0 before the first arrives."""
        return dict(self._versions)

    def offer(self, item: ModelVersion | ModelAlias) -> None:
        """Take note of a record of the ``models`` topic; returns at once. It is loaded once `settle` was called."""
        with self._changed:
            if isinstance(item, ModelAlias):
                self._take_alias(item)
            elif item.model in self._learners:
                self._take_version(item)

    def settle(self, timeout: float = 60.0) -> None:
        """Wait until all that was offered has been loaded or refused; nothing is loaded before the first call.

        Raises
        ------
        FollowerTroubleError
            If that takes longer than ``timeout`` seconds.
        """
        with self._changed:
            self._wanted.held = False
            self._changed.notify_all()
            if not self._changed.wait_for(self._is_settled, timeout):
                raise FollowerTroubleError(
                    f"{sorted(self._wanted.versions)} were not loaded within {timeout} s: {self.trouble}",
                    hint="check that the model store can be reached from here (RIVERRUN_MODEL_STORE)",
                )

    def close(self) -> None:
        """Stop loading."""
        with self._changed:
            self._wanted.closed = True
            self._changed.notify_all()
        self._thread.join()

    def _is_settled(self) -> bool:
        return self._wanted.closed or not (self._wanted.versions or self._wanted.loading)

    def _take_alias(self, item: ModelAlias) -> None:
        if item.alias != _ALIAS:
            return
        if item.model not in self._learners:
            self._complain(f"alias {item.alias} names {item.model!r}, which this pipeline file does not have")
            return
        self._champion = item.model
        self._current = self._pin()

    def _take_version(self, item: ModelVersion) -> None:
        published = self._published[item.model]
        try:
            # At once, though it is verified again when it is opened: an unsigned record must not displace a good one.
            verify_version(item, self._settings.pipeline, self._keys)
        except SignatureError as error:
            self._refuse(f"version {item.position} of {item.model!r}: {error}")
            return
        if item.position < published:
            self._refuse(f"version {item.position} of {item.model!r} comes after {published}: it is replayed")
            return
        # Only the newest counts: one that is passed over before it was loaded is missed only if that is refused.
        self._published[item.model] = item.position
        previous = self._wanted.versions.get(item.model)
        if previous is not None:
            passed_over = self._wanted.passed_over.setdefault(item.model, [])
            passed_over.append(previous)
            del passed_over[:-_FALLBACKS]
        self._wanted.versions[item.model] = item
        self._changed.notify_all()

    def _run(self) -> None:
        wanted = self._wanted
        while True:
            with self._changed:
                self._changed.wait_for(lambda: wanted.closed or (wanted.versions and not wanted.held))
                if wanted.closed:
                    return
                name = next(iter(wanted.versions))
                item = wanted.versions.pop(name)
                wanted.loading = True
            following = self._try(item)
            with self._changed:
                wanted.loading = False
                if following is not None:
                    wanted.versions.setdefault(name, following)
                if following is item:
                    self._changed.wait_for(lambda: wanted.closed, self._settings.retry_seconds)
                self._changed.notify_all()

    def _try(self, item: ModelVersion) -> ModelVersion | None:
        """Load one version and put it to use; return what to try next: itself later, or the one before it at once."""
        try:
            self._load(item)
        except UnavailableError as error:
            self._complain(str(error))
            return item
        except FollowerTroubleError as error:
            self._complain(str(error))
        except RiverrunError as error:
            self._refuse(str(error))
        except MODEL_FAILURES as error:
            # The thread must live on: the next version may be good.
            _LOG.exception("version %d of %s cannot be used", item.position, item.model)
            self._refuse(repr(error))
        else:
            return None
        return self._fallback(item)

    def _fallback(self, refused: ModelVersion) -> ModelVersion | None:
        """Return the newest version before one that was refused, unless what is in use is as new."""
        with self._changed:
            passed_over = self._wanted.passed_over.get(refused.model, [])
            while passed_over:
                item = passed_over.pop()
                if self._versions[item.model] < item.position < refused.position:
                    return item
        return None

    def _load(self, item: ModelVersion) -> None:
        settings = self._settings
        if item.feature_set != settings.feature_set:
            raise FollowerTroubleError(f"version {item.position} of {item.model!r} was trained on other features")
        trusted = self._keys, settings.modules, settings.limits
        model = open_version(item, settings.pipeline, self._store, *trusted)
        with self._changed:
            self._learners[item.model] = self._learners[item.model].with_estimator(model)
            self._versions[item.model] = item.position
            self._current = self._pin()
            if item.position == self._published[item.model]:
                self.trouble = ""

    def _pin(self) -> PinnedModels:
        learners: Sequence[Learner] = champion_first(list(self._learners.values()), self._champion)
        return PinnedModels(learners, [self._versions[learner.name] for learner in learners])

    def _refuse(self, trouble: str) -> None:
        self.refused += 1
        self._complain(trouble)

    def _complain(self, trouble: str) -> None:
        self.trouble = trouble
        _LOG.warning("the last good models stay in use: %s", trouble)
