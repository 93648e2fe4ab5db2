"""The model store holds whole files under names that sort by position."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from riverrun.errors import RiverrunError, SettingsError, UnavailableError
from riverrun.models.store import MissingModelError, ModelStore


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ModelStore:
    return ModelStore(str(tmp_path / "models") if request.param == "folder" else f"memory://{uuid4()}")


def test_what_is_written_is_read_listed_and_pruned(store: ModelStore) -> None:
    """Files come back by path, are listed oldest first, and all but the newest go."""
    paths = {position: store.write("p", "m", position, "ab" * 32, b"%d" % position) for position in (20, 5, 100)}
    assert [entry.position for entry in store.entries("p", "m")] == [5, 20, 100]
    assert store.read(paths[20]) == b"20"
    assert store.prune("p", "m", keep=1, upto=20) == 1
    assert [entry.position for entry in store.entries("p", "m")] == [20, 100]
    assert store.prune("p", "m", keep=1) == 1
    assert [entry.path for entry in store.entries("p", "m")] == [paths[100]]
    assert store.prune("p", "m", keep=0) == 1
    assert store.entries("p", "m") == []
    assert store.entries("p", "other") == []
    store.delete([paths[100]])


def test_writing_again_replaces_the_whole_file(store: ModelStore) -> None:
    """The same name written twice holds the second content."""
    store.write("p", "m", 1, "ab" * 32, b"first, and longer")
    path = store.write("p", "m", 1, "ab" * 32, b"second")
    assert store.read(path) == b"second"
    assert len(store.entries("p", "m")) == 1


def test_names_cannot_leave_the_store(store: ModelStore) -> None:
    """Odd names are kept apart inside the store, and a path that leads out is refused."""
    names = ["..", "a/b", "a b", "ä", "a%b"]
    paths = [store.write(name, name, 1, "ab" * 32, name.encode()) for name in names]
    assert [store.read(path).decode() for path in paths] == names
    assert all(".." not in path.split("/") for path in paths)
    with pytest.raises(MissingModelError):
        store.read("../secret")


def test_a_missing_file_is_told_apart_from_a_store_that_is_away(store: ModelStore) -> None:
    """A file that is not there will not come by waiting; that is another error."""
    with pytest.raises(MissingModelError):
        store.read("p/m/000000000001-abababababababab.model")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an unavailable store; neither the file nor its draft remains."""
    store = ModelStore(str(tmp_path))
    (tmp_path / "p" / "m").mkdir(parents=True)
    (tmp_path / "p" / "m" / "notes.txt").touch()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UnavailableError, match="no space left"):
        store.write("p", "m", 1, "ab" * 32, b"content")
    assert [entry.name for entry in (tmp_path / "p" / "m").iterdir()] == ["notes.txt"]
    assert store.entries("p", "m") == []


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.read("p/m/x"),
        lambda store: store.entries("p", "m"),
        lambda store: store.write("p", "m", 1, "ab" * 32, b""),
        lambda store: store.delete(["p/m/x"]),
    ],
)
def test_backend_errors_are_one_error(use: Callable[[ModelStore], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a backend of fsspec raises, the caller sees a store that is away."""
    store = ModelStore(f"memory://{uuid4()}")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("connection reset")

    for method in ("cat_file", "ls", "pipe_file", "rm_file"):
        monkeypatch.setattr(store._files, method, broken)
    with pytest.raises(UnavailableError, match="connection reset"):
        use(store)


def test_an_unknown_protocol_is_refused_in_words() -> None:
    """A URL that fsspec cannot handle says what to install."""
    with pytest.raises(SettingsError, match="s3fs"):
        ModelStore("no-such-protocol://bucket")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ftp://ada:s3cr3t@127.0.0.1:1/x", UnavailableError),
        ("no-such-protocol://ada:s3c@r3t@bucket", SettingsError),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_its_password(url: str, kind: type[RiverrunError]) -> None:
    """Some backends connect when they are made, and may be reached later; all may quote what they were given."""
    with pytest.raises(kind) as caught:
        ModelStore(url)
    assert "***@" in str(caught.value)
    assert "r3t" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_what_a_backend_quotes_of_the_url_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend's own words are passed on, but for user and password."""
    store = ModelStore("memory://ada:s3cr3t@bucket")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("530 s3cr3t is no password of ada's")

    monkeypatch.setattr(store._files, "cat_file", broken)
    with pytest.raises(UnavailableError, match=r"memory://\*\*\*@bucket cannot be read: 530 \*\*\* is") as caught:
        store.read("p/m/x")
    assert "s3cr3t" not in str(caught.value)
