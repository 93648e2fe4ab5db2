"""A scorer apart from the learner: follows the ``models`` topic and loads what was published.

Loading goes on in a thread of its own, as a model may take longer than a batch; between two vectors the
scorer takes whatever is complete. A version that cannot be trusted or read changes nothing: the last good one
stays, and a scorer that has none yet takes the newest that is good. Nor does one that is older than what was
published before, however well it is signed: somebody replays it. What was in use before a start counts as published,
be it in the topic still or not; where it is not, its file serves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from riverrun.errors import RiverrunError, UnavailableError
from riverrun.models.adapter import MODEL_FAILURES, Learner
from riverrun.models.followed import Followed, UsedVersion
from riverrun.models.modelset import ModelSet, PinnedModels, champion_first
from riverrun.models.publishing import kept_version, open_kept, open_version, verify_version
from riverrun.models.rehearsal import DEFAULT_LIMITS, Limits
from riverrun.models.signing import KeyRing, SignatureError
from riverrun.models.snapshot import SnapshotError
from riverrun.models.store import MissingModelError, ModelStore
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
    code_hash
        Hash of the pipeline file: of models that were defined otherwise, positions may begin anew.
    """

    pipeline: str
    feature_set: str
    modules: frozenset[str] = frozenset()
    retry_seconds: float = 2.0
    limits: Limits = DEFAULT_LIMITS
    code_hash: str = ""


@dataclass(frozen=True, slots=True)
class _Offer:
    """A version to be loaded.

    ``judged`` if an earlier process has looked at its record, and has counted it if it was refused; ``kept`` if it is
    known by its file only, which no record points at any more.
    """

    version: ModelVersion
    judged: bool
    kept: bool = False


@dataclass(slots=True)
class _Wanted:
    """The newest version of each model that is still to be loaded, and whether one is being loaded.

    Where nothing is published any more that is as new as what was in use before this start, that is in its place, to be
    looked for in the store. ``passed_over`` are versions that were not loaded since a newer one came; the newest of
    them last. ``held`` until the first `ModelFollower.settle`: of all that was published before, only the newest is
    worth a look, and the files of most others are gone by now.
    """

    versions: dict[str, _Offer | UsedVersion] = field(default_factory=dict)
    passed_over: dict[str, list[_Offer]] = field(default_factory=dict)
    loading: bool = False
    held: bool = True
    closed: bool = False


@dataclass(slots=True)
class _Floor:
    """The position of the last version that was published, and of the newest that is by the pipeline file here."""

    last: int = 0
    own: int = 0


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
        How many versions were refused so far, also before this start: forged, damaged or replayed. One of other
        features is no such thing.
    """

    def __init__(self, models: ModelSet, store: ModelStore, keys: KeyRing, settings: FollowerSettings) -> None:
        self.trouble = ""
        self.refused = 0
        self._store = store
        self._keys = keys
        self._settings = settings
        self._learners: dict[str, Learner] = {learner.name: learner for learner in models.learners}
        self._versions = dict.fromkeys(self._learners, 0)
        self._floors = {name: _Floor() for name in self._learners}
        self._used: dict[str, UsedVersion] = {}
        self._judged = self._offered = 0
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

    def resume(self, followed: Followed) -> None:
        """Go on from what an earlier process had in use; called before anything is offered."""
        self.refused, self._judged = followed.refused, followed.read
        self._used = {name: used for name, used in followed.used.items() if name in self._learners}

    def followed(self) -> Followed:
        """Return what the next process must know."""
        with self._changed:
            if not (self._wanted.versions or self._wanted.loading):
                self._judged = max(self._judged, self._offered)
            return Followed(self.refused, self._judged, dict(self._used))

    def offer(self, item: ModelVersion | ModelAlias, offset: int = -1) -> None:
        """Take note of a record of the ``models`` topic; returns at once. It is loaded once `settle` was called.

        Parameters
        ----------
        item
            What it says.
        offset
            Its offset, where `followed` is of use to anybody.
        """
        with self._changed:
            self._offered = max(self._offered, offset + 1)
            if isinstance(item, ModelAlias):
                self._take_alias(item)
            elif item.model in self._learners:
                self._take_version(_Offer(item, judged=0 <= offset < self._judged))

    def settle(self, timeout: float = 60.0) -> None:
        """Wait until all that was offered has been loaded or refused; nothing is loaded before the first call.

        Raises
        ------
        FollowerTroubleError
            If that takes longer than ``timeout`` seconds.
        """
        with self._changed:
            if self._wanted.held:
                self._compare_with_use()
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

    def _take_version(self, offer: _Offer) -> None:
        item = offer.version
        try:
            # At once, though it is verified again when it is opened: an unsigned record must not displace a good one.
            verify_version(item, self._settings.pipeline, self._keys)
        except SignatureError as error:
            self._refuse(f"version {item.position} of {item.model!r}: {error}", offer)
            return
        floor = self._floors[item.model]
        if self._is_older(item, floor):
            text = f"version {item.position} of {item.model!r} comes after {floor.last}"
            self._refuse(f"{text}: it is replayed", offer)
            return
        # Only the newest counts: one that is passed over before it was loaded is missed only if that is refused.
        self._raise(item)
        previous = self._wanted.versions.get(item.model)
        if isinstance(previous, _Offer):
            passed_over = self._wanted.passed_over.setdefault(item.model, [])
            passed_over.append(previous)
            del passed_over[:-_FALLBACKS]
        self._wanted.versions[item.model] = offer
        self._changed.notify_all()

    def _is_older(self, item: ModelVersion, floor: _Floor) -> bool:
        return item.position < (floor.own if item.code_hash == self._settings.code_hash else floor.last)

    def _raise(self, item: ModelVersion) -> None:
        floor = self._floors[item.model]
        floor.last = item.position
        if item.code_hash == self._settings.code_hash:
            floor.own = item.position

    def _compare_with_use(self) -> None:
        """Hold what the topic has against what was in use before; the topic may begin with what is older than that."""
        wanted, code_hash = self._wanted, self._settings.code_hash
        for name, used in self._used.items():
            own = used.position if used.code_hash == code_hash else 0
            offer = wanted.versions.get(name)
            if isinstance(offer, _Offer):
                item = offer.version
                if not self._is_older(item, _Floor(used.position, own)):
                    # What was good and is no more is news.
                    same = (item.position, item.code_hash) == used
                    wanted.versions[name] = replace(offer, judged=offer.judged and not same)
                    continue
                wanted.passed_over.pop(name, None)
                text = f"version {item.position} of {name!r} comes after {used.position}, which was in use"
                self._refuse(f"{text}: it is replayed", offer)
            self._floors[name] = _Floor(used.position, own)
            wanted.versions[name] = used

    def _run(self) -> None:
        wanted = self._wanted
        while True:
            with self._changed:
                self._changed.wait_for(lambda: wanted.closed or (wanted.versions and not wanted.held))
                if wanted.closed:
                    return
                # The others serve nobody yet.
                name = self._champion if self._champion in wanted.versions else next(iter(wanted.versions))
                offer = wanted.versions.pop(name)
                wanted.loading = True
            following = self._try(name, offer)
            with self._changed:
                wanted.loading = False
                if following is not None:
                    wanted.versions.setdefault(name, following)
                if following is offer:
                    self._changed.wait_for(lambda: wanted.closed, self._settings.retry_seconds)
                self._changed.notify_all()

    def _try(self, name: str, offer: _Offer | UsedVersion) -> _Offer | UsedVersion | None:
        """Load one version and put it to use; return what to try next: itself later, or the one before it at once."""
        try:
            if isinstance(offer, UsedVersion):
                return self._find_kept(name, offer)
            self._load(offer)
        except UnavailableError as error:
            self._complain(str(error))
            return offer
        except FollowerTroubleError as error:
            self._complain(str(error))
        except RiverrunError as error:
            self._refuse(str(error), offer)
        except MODEL_FAILURES as error:
            # The thread must live on: the next version may be good.
            _LOG.exception("a version of %s cannot be used", name)
            self._refuse(repr(error), offer)
        else:
            return None
        return self._fallback(offer) if isinstance(offer, _Offer) else None

    def _find_kept(self, name: str, used: UsedVersion) -> _Offer:
        """Return the newest snapshot in the store that is as new as what was in use.

        Raises
        ------
        FollowerTroubleError
            If there is none.
        """
        settings = self._settings
        for entry in reversed(self._store.entries(settings.pipeline, name)):
            try:
                item = kept_version(entry.path, self._store, self._keys, settings.limits)
            except (SnapshotError, MissingModelError) as error:
                _LOG.warning("snapshot %s is passed over: %s", entry.path, error)
                continue
            # A file is what its header says, not what it is called.
            if (item.model, item.feature_set) == (name, settings.feature_set) and item.position >= used.position:
                self._complain(f"no record points at version {item.position} of {name!r} any more; its file serves")
                return _Offer(item, judged=True, kept=True)
        raise FollowerTroubleError(
            f"no version of {name!r} is there that is as new as {used.position}, which was in use",
            hint="the learner publishes anew at its next snapshot; find out who else writes to the topic of models",
        )

    def _fallback(self, refused: _Offer) -> _Offer | None:
        """Return the newest version before one that was refused, unless what is in use is as new."""
        model, position = refused.version.model, refused.version.position
        with self._changed:
            passed_over = self._wanted.passed_over.get(model, [])
            while passed_over:
                offer = passed_over.pop()
                if self._versions[model] < offer.version.position < position:
                    return offer
        return None

    def _load(self, offer: _Offer) -> None:
        item, settings = offer.version, self._settings
        if item.feature_set != settings.feature_set:
            raise FollowerTroubleError(f"version {item.position} of {item.model!r} was trained on other features")
        trusted = self._keys, settings.modules, settings.limits
        open_it = open_kept if offer.kept else open_version
        model = open_it(item, settings.pipeline, self._store, *trusted)
        with self._changed:
            self._learners[item.model] = self._learners[item.model].with_estimator(model)
            self._versions[item.model] = item.position
            self._used[item.model] = UsedVersion(item.position, item.code_hash)
            self._current = self._pin()
            if not offer.kept and item.position == self._floors[item.model].last:
                self.trouble = ""
            if item.position > self._floors[item.model].last:
                self._raise(item)

    def _pin(self) -> PinnedModels:
        learners: Sequence[Learner] = champion_first(list(self._learners.values()), self._champion)
        return PinnedModels(learners, [self._versions[learner.name] for learner in learners])

    def _refuse(self, trouble: str, offer: _Offer | UsedVersion) -> None:
        # An earlier process has counted what it has judged.
        if isinstance(offer, _Offer) and not offer.judged:
            self.refused += 1
        self._complain(trouble)

    def _complain(self, trouble: str) -> None:
        self.trouble = trouble
        _LOG.warning("the last good models stay in use: %s", trouble)
