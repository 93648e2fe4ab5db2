"""A follower uses the newest version that can be trusted, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from riverrun.models.adapter import BINARY, features_of
from riverrun.models.digest import digest
from riverrun.models.follower import FollowerSettings, FollowerTroubleError, ModelFollower
from riverrun.models.modelset import PinnedModels, build_models
from riverrun.models.publishing import sign_version
from riverrun.models.rehearsal import Limits
from riverrun.models.signing import KeyRing, key_ring
from riverrun.models.store import ModelStore
from riverrun.records.items import ModelAlias, ModelVersion, Source
from tests.learn.world import KEYS, MODELS, NAMES, VECTORS, Log, Worker, examples, vectors
from tests.models.test_adapter import Definition
from tests.models.zoo import ZOO

X = features_of(NAMES, VECTORS[vectors(1, seed=11)[0][0]])
SETTINGS = FollowerSettings("p", "features", retry_seconds=0.01)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ModelVersion]]:
    """A store with two versions of two models, and the records that point at them."""
    folder = tmp_path_factory.mktemp("models")
    log = Log()
    worker = Worker(log, ModelStore(str(folder)), examples(90, 0))
    worker.batch(90)
    worker.drain()
    return folder, [item for item in log.pointers if isinstance(item, ModelVersion)]


Open = Callable[..., ModelFollower]


@pytest.fixture
def open_follower(published: tuple[Path, list[ModelVersion]]) -> Iterator[Open]:
    opened: list[ModelFollower] = []

    def make(keys: KeyRing = KEYS, store: ModelStore | None = None) -> ModelFollower:
        models = build_models([Definition(name, ZOO[name]) for name in MODELS], BINARY)
        opened.append(ModelFollower(models, store or ModelStore(str(published[0])), keys, SETTINGS))
        return opened[-1]

    yield make
    for follower in opened:
        follower.close()


def _state(follower: ModelFollower) -> dict[str, tuple[int, str]]:
    models = follower.current()
    assert isinstance(models, PinnedModels)
    return {
        learner.name: (version, digest(learner.estimator))
        for learner, version in zip(models.learners, models.versions, strict=True)
    }


def test_newest_versions_are_used(open_follower: Open, published: tuple[Path, list[ModelVersion]]) -> None:
    """Untrained models serve as version 0 until the newest offered versions take their place, state for state."""
    follower = open_follower()
    assert [score[:2] for score in follower.current().score(X)] == [("logistic", 0), ("tree", 0)]
    before = follower.current()
    for item in published[1]:
        follower.offer(item)
    follower.settle()
    newest = {item.model: (item.position, item.digest) for item in published[1]}
    assert _state(follower) == newest
    assert {position for position, _ in newest.values()} == {80}
    assert [score.version for score in before.score(X)] == [0, 0], "a swap must not touch what is in use"
    assert follower.trouble == ""


def test_public_key_is_enough(open_follower: Open, published: tuple[Path, list[ModelVersion]]) -> None:
    """A scorer needs no private key."""
    follower = open_follower(key_ring("", KEYS.public_key()))
    follower.offer(published[1][0])
    follower.settle()
    assert _state(follower)["logistic"][0] == 40


def _forge(item: ModelVersion, folder: Path) -> ModelVersion:
    del folder
    return replace(item, position=item.position + 40)


def _unsigned(item: ModelVersion, folder: Path) -> ModelVersion:
    del folder
    return replace(item, signature="")


def _other_features(item: ModelVersion, folder: Path) -> ModelVersion:
    del folder
    changed = replace(item, feature_set="other")
    sign_version(changed, "p", KEYS)
    return changed


def _other_file(item: ModelVersion, folder: Path) -> ModelVersion:
    """Point, well signed, at another well-signed snapshot: an older one."""
    older = next((folder / "p" / item.model).glob("000000000040-*"))
    changed = replace(item, uri=str(older.relative_to(folder)))
    sign_version(changed, "p", KEYS)
    return changed


def _missing_file(item: ModelVersion, folder: Path) -> ModelVersion:
    del folder
    changed = replace(item, uri="p/logistic/none.model")
    sign_version(changed, "p", KEYS)
    return changed


def _damaged_file(item: ModelVersion, folder: Path) -> ModelVersion:
    content = bytearray((folder / item.uri).read_bytes())
    content[-200] ^= 1
    (folder / "p" / "damaged.model").write_bytes(content)
    changed = replace(item, uri="p/damaged.model")
    sign_version(changed, "p", KEYS)
    return changed


def _other_pipeline(item: ModelVersion, folder: Path) -> ModelVersion:
    del folder
    changed = replace(item)
    sign_version(changed, "q", KEYS)
    return changed


@pytest.mark.parametrize(
    "spoil",
    [_forge, _unsigned, _other_features, _other_file, _missing_file, _damaged_file, _other_pipeline],
)
def test_last_good_version_stays(
    open_follower: Open,
    published: tuple[Path, list[ModelVersion]],
    spoil: Callable[[ModelVersion, Path], ModelVersion],
) -> None:
    """A version that is forged, damaged, replaced or unfit changes nothing; the next good one is used."""
    folder, items = published
    first, last = (item for item in items if item.model == "logistic")
    follower = open_follower()
    follower.offer(first)
    follower.settle()
    good = _state(follower)
    assert good["logistic"] == (40, first.digest)
    follower.offer(spoil(last, folder))
    follower.settle()
    assert _state(follower) == good
    assert follower.trouble
    assert follower.refused == int(spoil is not _other_features)
    follower.offer(last)
    follower.settle()
    assert _state(follower)["logistic"] == (80, last.digest)
    assert follower.trouble == ""


def test_a_scorer_that_starts_looks_at_the_newest_version_only(
    open_follower: Open, published: tuple[Path, list[ModelVersion]]
) -> None:
    """The files of older ones are gone by and by, which is nothing that anybody should hear of."""
    folder, items = published
    first, last = (item for item in items if item.model == "logistic")
    follower = open_follower()
    follower.offer(_missing_file(first, folder))
    # The thread that loads has all the time in the world.
    threading.Event().wait(0.2)
    follower.offer(last)
    follower.settle()
    assert _state(follower)["logistic"] == (80, last.digest)
    assert (follower.refused, follower.trouble) == (0, "")


@pytest.mark.parametrize("spoil", [_other_features, _other_file, _missing_file, _damaged_file])
def test_a_scorer_that_starts_falls_back_to_the_last_good_version(
    open_follower: Open,
    published: tuple[Path, list[ModelVersion]],
    spoil: Callable[[ModelVersion, Path], ModelVersion],
) -> None:
    """Where the newest of all that were published is refused, the one before it is used, and the trouble is told."""
    folder, items = published
    first, last = (item for item in items if item.model == "logistic")
    follower = open_follower()
    follower.offer(first)
    follower.offer(spoil(last, folder))
    follower.settle()
    assert _state(follower)["logistic"] == (40, first.digest)
    assert follower.refused == int(spoil is not _other_features)
    assert follower.trouble
    follower.offer(last)
    follower.settle()
    assert _state(follower)["logistic"] == (80, last.digest)
    assert follower.trouble == ""


def test_a_replayed_version_is_refused(
    open_follower: Open, published: tuple[Path, list[ModelVersion]], caplog: pytest.LogCaptureFixture
) -> None:
    """An older record, well signed and with its file in place, changes nothing, is logged and is counted."""
    older, newer = (item for item in published[1] if item.model == "logistic")
    for settled_between in (True, False):
        follower = open_follower()
        caplog.clear()
        for item in (older, newer, older):
            follower.offer(item)
            if settled_between:
                follower.settle()
        follower.settle()
        assert _state(follower)["logistic"] == (80, newer.digest)
        assert follower.refused == 1
        assert "version 40 of 'logistic' comes after 80: it is replayed" in caplog.text
        # The newest once more is no replay: a learner that starts again may publish it again.
        follower.offer(newer)
        follower.settle()
        assert (follower.refused, _state(follower)["logistic"][0]) == (1, 80)


def test_an_unsigned_record_does_not_displace_one_that_waits(
    open_follower: Open, published: tuple[Path, list[ModelVersion]]
) -> None:
    """A forged record that comes before a good one was loaded neither takes its place nor bars those that follow."""
    older, newer = (item for item in published[1] if item.model == "logistic")
    follower = open_follower()
    follower.offer(older)
    follower.offer(replace(newer, position=10_000))
    follower.settle()
    assert _state(follower)["logistic"] == (40, older.digest)
    follower.offer(newer)
    follower.settle()
    assert _state(follower)["logistic"] == (80, newer.digest)
    assert follower.refused == 1


def test_a_file_beyond_the_limit_is_not_fetched(published: tuple[Path, list[ModelVersion]], tmp_path: Path) -> None:
    """A snapshot's place that holds a huge file is refused by its size."""
    item = published[1][0]
    huge = tmp_path / item.uri
    huge.parent.mkdir(parents=True)
    with huge.open("wb") as file:
        file.truncate(2 << 20)
    models = build_models([Definition(name, ZOO[name]) for name in MODELS], BINARY)
    follower = ModelFollower(models, ModelStore(str(tmp_path)), KEYS, replace(SETTINGS, limits=Limits(memory_mb=1)))
    try:
        follower.offer(item)
        follower.settle()
        assert "2,097,152 bytes" in follower.trouble
        assert follower.refused == 1
    finally:
        follower.close()


def test_the_champion_is_loaded_first(
    open_follower: Open, published: tuple[Path, list[ModelVersion]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever came first: the others serve nobody yet."""
    read = ModelStore.read
    loaded: list[str] = []

    def noted(store: ModelStore, path: str, **named: int) -> bytes:
        loaded.append(path.split("/")[1])
        return read(store, path, **named)

    monkeypatch.setattr(ModelStore, "read", noted)
    for champion in MODELS:
        loaded.clear()
        follower = open_follower()
        follower.offer(ModelAlias("champion", champion, "someone", "because", Source("p.examples", 0, 1)))
        for item in published[1]:
            follower.offer(item)
        follower.settle()
        assert loaded[0] == champion
        assert set(loaded) == set(MODELS)


def test_alias_decides_the_champion(open_follower: Open, published: tuple[Path, list[ModelVersion]]) -> None:
    """The champion alias puts a model first; other aliases and unknown models change nothing."""
    follower = open_follower()
    follower.offer(published[1][0])
    follower.settle()
    for alias, model, first in (
        ("champion", "tree", "tree"),
        ("canary", "logistic", "tree"),
        ("champion", "unknown", "tree"),
        ("champion", "logistic", "logistic"),
    ):
        follower.offer(ModelAlias(alias, model, "someone", "because", Source("p.examples", 0, 1)))
        scores = follower.current().score(X)
        assert scores[0].model == first
        assert {score.model: score.version for score in scores} == {"logistic": 40, "tree": 0}


def test_models_that_the_pipeline_lacks_are_ignored(
    open_follower: Open, published: tuple[Path, list[ModelVersion]]
) -> None:
    """A version of a model that the pipeline file no longer has is nobody's business."""
    follower = open_follower()
    follower.offer(replace(published[1][0], model="gone"))
    follower.settle()
    assert set(_state(follower)) == set(MODELS)
    assert follower.trouble == ""


def test_a_store_that_is_away_is_tried_again(
    open_follower: Open, published: tuple[Path, list[ModelVersion]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is away, predictions go on; once it is back, the version is loaded by itself."""
    store = ModelStore(str(published[0]))
    back, asked = threading.Event(), threading.Event()
    read = store._files.cat_file

    def flaky(path: str) -> bytes:
        asked.set()
        if not back.is_set():
            raise OSError("away")
        return read(path)

    monkeypatch.setattr(store._files, "cat_file", flaky)
    follower = open_follower(store=store)
    follower.offer(published[1][0])
    with pytest.raises(FollowerTroubleError, match="logistic"):
        follower.settle(timeout=0.05)
    assert asked.wait(60)
    assert follower.current().score(X)[0].version == 0
    back.set()
    follower.settle()
    assert _state(follower)["logistic"][0] == 40
