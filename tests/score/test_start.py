"""A scorer that starts is not fooled by what was done to the topic meanwhile: it remembers what it had in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from riverrun.models.adapter import BINARY
from riverrun.models.digest import digest
from riverrun.models.followed import Followed, UsedVersion
from riverrun.models.follower import FollowerSettings, FollowerTroubleError, ModelFollower
from riverrun.models.modelset import PinnedModels, build_models
from riverrun.models.publishing import sign_version
from riverrun.models.store import ModelStore
from riverrun.records.items import ModelVersion
from tests.learn.world import KEYS, MODELS, STATE_SETTINGS, Log, Worker, examples
from tests.models.test_adapter import Definition
from tests.models.zoo import ZOO

OWN = STATE_SETTINGS.code_hash
SETTINGS = FollowerSettings("p", "features", retry_seconds=0.01, code_hash=OWN)
MODEL = "logistic"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ModelVersion]]:
    """A store, and the records of one model's versions at 40, 80 and 120."""
    folder = tmp_path_factory.mktemp("models")
    log = Log()
    worker = Worker(log, ModelStore(str(folder)), examples(130, 0))
    worker.batch(130)
    worker.drain()
    return folder, [item for item in log.pointers if isinstance(item, ModelVersion) and item.model == MODEL]


class Offered(NamedTuple):
    """A record of the topic, and its offset."""

    version: ModelVersion
    offset: int


Start = Callable[..., ModelFollower]


@pytest.fixture
def start(versions: tuple[Path, list[ModelVersion]]) -> Iterator[Start]:
    """Starts a follower that knows what an earlier one did, and offers it what the topic holds."""
    started: list[ModelFollower] = []

    def make(
        followed: Followed, *records: Offered, store: ModelStore | None = None, settle: bool = True
    ) -> ModelFollower:
        models = build_models([Definition(name, ZOO[name]) for name in MODELS], BINARY)
        follower = ModelFollower(models, store or ModelStore(str(versions[0])), KEYS, SETTINGS)
        started.append(follower)
        follower.resume(followed)
        for record in records:
            follower.offer(*record)
        if settle:
            follower.settle()
        return follower

    yield make
    for follower in started:
        follower.close()


def _in_use(follower: ModelFollower) -> tuple[int, str]:
    models = follower.current()
    assert isinstance(models, PinnedModels)
    at = [learner.name for learner in models.learners].index(MODEL)
    return models.versions[at], digest(models.learners[at].estimator)


def _signed(version: ModelVersion) -> ModelVersion:
    sign_version(version, "p", KEYS)
    return version


def _was_in_use(version: ModelVersion, *, read: int, refused: int = 0) -> Followed:
    return Followed(refused, read, {MODEL: UsedVersion(version.position, version.code_hash)})


def test_what_is_followed_is_remembered(start: Start, versions: tuple[Path, list[ModelVersion]]) -> None:
    """What was in use, how far the topic was read and what was refused pass through a commit record's counters."""
    first, second, _ = versions[1]
    follower = start(Followed(), Offered(first, 3), Offered(second, 5), Offered(first, 6))
    followed = follower.followed()
    assert followed == Followed(1, 7, {MODEL: UsedVersion(80, OWN)})
    assert Followed.of({"predictions": 7, **followed.counters()}) == followed
    assert Followed().counters() == {}
    assert Followed.of({}) == Followed()


def test_an_old_version_is_refused_at_a_start(start: Start, versions: tuple[Path, list[ModelVersion]]) -> None:
    """Compaction has left nothing but an old version, replayed: it is refused, told, and the last good one is used."""
    old, last, _ = versions[1]
    before = _was_in_use(last, read=9, refused=3)
    follower = start(before, Offered(old, 9))
    # The newest file of the store, which is no older than what was in use.
    assert _in_use(follower) == (120, versions[1][2].digest)
    before = follower.followed()
    assert before.refused == 4
    # What is used by its file is what others are held against.
    follower.offer(last, 10)
    follower.settle()
    assert _in_use(follower)[0] == 120
    assert follower.followed().refused == 5
    # A record that has been judged is not told again.
    again = start(before, Offered(old, 9))
    assert _in_use(again)[0] == 120
    assert again.followed().refused == 4
    assert "no record points at version 120" in again.trouble


def test_nothing_old_is_used_where_the_last_good_one_is_lost(
    start: Start, versions: tuple[Path, list[ModelVersion]], tmp_path: Path
) -> None:
    """With its file gone too there is no model until the learner publishes again, and that is said at every start."""
    old, last, newer = versions[1]
    store = ModelStore(str(tmp_path))
    store.write("p", MODEL, old.position, old.digest, (versions[0] / old.uri).read_bytes())
    # A file is what its signed header says, whatever it is called.
    store.write("p", MODEL, 999, old.digest, (versions[0] / old.uri).read_bytes())
    store.write("p", MODEL, 998, old.digest, b"no snapshot")
    killed = start(_was_in_use(last, read=9), Offered(old, 9), store=store)
    follower = start(killed.followed(), Offered(old, 9), store=store)
    for each in (killed, follower):
        assert _in_use(each)[0] == 0
        assert each.followed() == _was_in_use(last, read=10, refused=1)
        assert "as new as 80" in each.trouble
    store.write("p", MODEL, newer.position, newer.digest, (versions[0] / newer.uri).read_bytes())
    follower.offer(newer, 10)
    follower.settle()
    assert _in_use(follower) == (120, newer.digest)
    assert follower.trouble == ""


def test_a_forged_record_does_not_hide_the_last_good_version(
    start: Start, versions: tuple[Path, list[ModelVersion]]
) -> None:
    """Compaction keeps the newest record of a model, signed or not: the file of the last good one is still there."""
    _, last, newest = versions[1]
    follower = start(_was_in_use(last, read=9), Offered(replace(newest, signature="", position=10_000), 9))
    assert _in_use(follower) == (120, newest.digest)
    assert follower.followed().refused == 1


def test_the_topic_may_hold_what_is_older_before_what_was_in_use(
    start: Start, versions: tuple[Path, list[ModelVersion]]
) -> None:
    """Where nothing was compacted yet older versions come first, and are no replay; nor is one that is as old."""
    first, second, third = versions[1]
    for records in (versions[1], [third], [first, third]):
        follower = start(_was_in_use(third, read=5), *(Offered(each, at) for at, each in enumerate(records)))
        assert _in_use(follower) == (120, third.digest)
        assert (follower.followed().refused, follower.trouble) == (0, "")
    follower = start(_was_in_use(first, read=1), Offered(first, 0), Offered(second, 1), Offered(first, 2))
    assert _in_use(follower) == (80, second.digest)
    assert follower.followed().refused == 1
    again = start(follower.followed(), Offered(first, 0), Offered(second, 1), Offered(first, 2))
    assert (again.followed().refused, again.trouble) == (1, "")


def test_a_pipeline_file_that_was_changed_may_begin_anew(
    start: Start, versions: tuple[Path, list[ModelVersion]]
) -> None:
    """Versions of the file that is here now are held against each other, not against those of the file before."""
    first, second, third = versions[1]
    before = _signed(replace(third, code_hash="before"))
    used = _was_in_use(before, read=9)
    follower = start(used, Offered(before, 4), Offered(first, 9))
    assert _in_use(follower) == (40, first.digest)
    assert follower.followed() == Followed(0, 10, {MODEL: UsedVersion(40, OWN)})
    # From now on, that is.
    for version, offset in ((second, 10), (first, 11), (before, 12), (first, 13)):
        follower.offer(version, offset)
    follower.settle()
    assert follower.followed().refused == 2
    # An old version of a file that is not here is a replay, whoever's it is.
    again = start(used, Offered(_signed(replace(first, code_hash="long before")), 9))
    assert _in_use(again)[0] != 40
    assert again.followed().refused == 1


def test_what_is_not_judged_yet_is_judged_after_a_kill(
    start: Start, versions: tuple[Path, list[ModelVersion]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit record does not say of a version that is still being loaded that it was looked at."""
    first, second, _ = versions[1]
    bad = _signed(replace(second, uri=first.uri))
    store = ModelStore(str(versions[0]))
    back = threading.Event()
    read = store._files.cat_file

    def flaky(path: str) -> bytes:
        if not back.is_set():
            raise OSError("away")
        return read(path)

    monkeypatch.setattr(store._files, "cat_file", flaky)
    follower = start(Followed(), store=store)
    follower.offer(bad, 7)
    with pytest.raises(FollowerTroubleError):
        follower.settle(timeout=0.05)
    killed = follower.followed()
    assert (killed.refused, killed.read) == (0, 0)
    back.set()
    follower.settle()
    assert (follower.followed().refused, follower.followed().read) == (1, 8)
    # Its file is looked at once more at each start, and the refusal counts in the first that saw it only.
    for followed in (killed, follower.followed()):
        assert start(followed, Offered(bad, 7)).followed().refused == 1


def test_a_file_that_was_replaced_while_the_scorer_was_away_is_told(
    start: Start, versions: tuple[Path, list[ModelVersion]], tmp_path: Path
) -> None:
    """The record was good and in use; its file is forged now: refused and told, and told once."""
    first, last, _ = versions[1]
    store = ModelStore(str(tmp_path))
    content = (versions[0] / last.uri).read_bytes()
    for version, file in ((first, (versions[0] / first.uri).read_bytes()), (last, content[:-64] + bytes(64))):
        store.write("p", MODEL, version.position, version.digest, file)
    records = [Offered(first, 4), Offered(last, 5)]
    follower = start(_was_in_use(last, read=6), *records, store=store)
    assert _in_use(follower) == (40, first.digest)
    assert follower.followed().refused == 1
    again = start(follower.followed(), *records, store=store)
    assert _in_use(again) == (40, first.digest)
    assert again.followed().refused == 1


@pytest.mark.parametrize("records", [(), ("old",)])
def test_a_store_that_is_away_at_a_start_is_tried_again(
    start: Start,
    versions: tuple[Path, list[ModelVersion]],
    monkeypatch: pytest.MonkeyPatch,
    records: Sequence[str],
) -> None:
    """The last good version is looked for until the store can tell, also where the topic has lost all it held."""
    old, last, _ = versions[1]
    store = ModelStore(str(versions[0]))
    back = threading.Event()
    listed = store._files.ls

    def flaky(path: str, **options: Any) -> list[str]:
        if not back.is_set():
            raise OSError("away")
        return list(listed(path, **options))

    monkeypatch.setattr(store._files, "ls", flaky)
    offered = [Offered(old, 9) for _ in records]
    follower = start(_was_in_use(last, read=9), *offered, store=store, settle=False)
    with pytest.raises(FollowerTroubleError):
        follower.settle(timeout=0.05)
    back.set()
    follower.settle()
    assert _in_use(follower)[0] == 120
