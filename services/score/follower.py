"""A scorer apart from the learner: follows the ``models`` topic and loads what was published.

Loading goes on in a thread of its own, as a model may take longer than a batch; between two vectors the
scorer takes whatever is complete. A version that cannot be trusted or read changes nothing: the last good one
stays.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from riverrun.errors import RiverrunError, UnavailableError
from riverrun.models.adapter import MODEL_FAILURES, Learner
from riverrun.models.modelset import ModelSet, PinnedModels, Scorer, champion_first
from riverrun.models.publishing import open_version
from riverrun.models.signing import KeyRing
from riverrun.models.store import ModelStore
from riverrun.records.items import ModelAlias, ModelVersion

__all__ = ["FollowerSettings", "FollowerTroubleError", "ModelFollower"]

_LOG: Final = logging.getLogger(__name__)
_ALIAS: Final = "champion"


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
    """

    pipeline: str
    feature_set: str
    modules: frozenset[str] = frozenset()
    retry_seconds: float = 2.0


@dataclass(slots=True)
class _Wanted:
    """The newest version of each model that is still to be loaded, and whether one is being loaded."""

    versions: dict[str, ModelVersion] = field(default_factory=dict)
    loading: bool = False
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
    """

    def __init__(self, models: ModelSet, store: ModelStore, keys: KeyRing, settings: FollowerSettings) -> None:
        self.trouble = ""
        self._store = store
        self._keys = keys
        self._settings = settings
        self._learners: dict[str, Learner] = {learner.name: learner for learner in models.learners}
        self._versions = dict.fromkeys(self._learners, 0)
        self._champion = models.champion
        self._wanted = _Wanted()
        self._changed = threading.Condition()
        self._current = self._pin()
        self._thread = threading.Thread(target=self._run, name="riverrun-models", daemon=True)
        self._thread.start()

    def current(self) -> Scorer:
        """Return the models to score with now."""
        return self._current

    def offer(self, item: ModelVersion | ModelAlias) -> None:
        """Take note of a record of the ``models`` topic; returns at once."""
        with self._changed:
            if isinstance(item, ModelAlias):
                self._take_alias(item)
            elif item.model in self._learners:
                # Only the newest counts: one that is passed over before it was loaded is not missed.
                self._wanted.versions[item.model] = item
                self._changed.notify_all()

    def settle(self, timeout: float = 60.0) -> None:
        """Wait until all that was offered has been loaded or refused.

        Raises
        ------
        FollowerTroubleError
            If that takes longer than ``timeout`` seconds.
        """
        with self._changed:
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

    def _run(self) -> None:
        wanted = self._wanted
        while True:
            with self._changed:
                self._changed.wait_for(lambda: wanted.closed or wanted.versions)
                if wanted.closed:
                    return
                name = next(iter(wanted.versions))
                item = wanted.versions.pop(name)
                wanted.loading = True
            retry = self._try(item)
            with self._changed:
                wanted.loading = False
                if retry:
                    wanted.versions.setdefault(name, item)
                    self._changed.wait_for(lambda: wanted.closed, self._settings.retry_seconds)
                self._changed.notify_all()

    def _try(self, item: ModelVersion) -> bool:
        """Load one version and put it to use; return whether to try again later."""
        try:
            self._load(item)
        except UnavailableError as error:
            self._complain(str(error))
            return True
        except RiverrunError as error:
            self._complain(str(error))
        except MODEL_FAILURES as error:
            # The thread must live on: the next version may be good.
            _LOG.exception("version %d of %s cannot be used", item.position, item.model)
            self.trouble = repr(error)
        return False

    def _load(self, item: ModelVersion) -> None:
        settings = self._settings
        if item.feature_set != settings.feature_set:
            raise FollowerTroubleError(f"version {item.position} of {item.model!r} was trained on other features")
        model = open_version(item, settings.pipeline, self._store, self._keys, settings.modules)
        with self._changed:
            self._learners[item.model] = self._learners[item.model].with_estimator(model)
            self._versions[item.model] = item.position
            self._current = self._pin()
            self.trouble = ""

    def _pin(self) -> PinnedModels:
        learners: Sequence[Learner] = champion_first(list(self._learners.values()), self._champion)
        return PinnedModels(learners, [self._versions[learner.name] for learner in learners])

    def _complain(self, trouble: str) -> None:
        self.trouble = trouble
        _LOG.warning("the last good models stay in use: %s", trouble)
