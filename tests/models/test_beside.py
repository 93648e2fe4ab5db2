"""Snapshots that a copy of the process takes are those that this one would have taken, at the same instant."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from riverrun.models.beside import BesideTaker, Taken, taken_now
from riverrun.models.digest import DigestError, digest
from riverrun.models.pickling import load_state
from riverrun.models.snapshot import SnapshotError
from tests.models.zoo import ZOO, stream

FOREST = ZOO["forest"]


def _taught(count: int, seed: int = 1) -> object:
    model = FOREST()
    for x, label in stream(count, seed):
        model.learn_one(x, label)
    return model


def test_they_are_of_the_instant_at_which_they_were_asked_for(tmp_path: Path) -> None:
    """The model goes on learning at once; payload and digest are of what it was before."""
    model = FOREST()
    examples = list(stream(300, 1))
    for x, label in examples[:200]:
        model.learn_one(x, label)
    before = digest(model)
    taken = BesideTaker(tmp_path, large=10).take([model, {"weights": [1.0, 2.0]}])
    for x, label in examples[200:]:
        model.learn_one(x, label)
    (payload, found), (other, other_digest) = taken.result()
    assert digest(model) != before == found
    assert digest(load_state(payload)) == before
    assert (load_state(other), other_digest) == ({"weights": [1.0, 2.0]}, digest({"weights": [1.0, 2.0]}))
    assert taken.result() == taken.result()
    assert list(tmp_path.iterdir()) == []


def test_what_is_small_is_taken_at_once(tmp_path: Path) -> None:
    """No process is started for a few objects; that many more are too many."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text(encoding="ascii") if children.exists() else ""
    small = BesideTaker(tmp_path, large=1_000).take([[float(number) for number in range(900)]])
    assert small.ready()
    if children.exists():
        assert children.read_text(encoding="ascii") == before
    large = BesideTaker(tmp_path, large=1_000).take([[float(number) for number in range(1_100)]])
    assert large.result()[0][1] == digest([float(number) for number in range(1_100)])


def test_one_copy_is_at_work_at_a_time(tmp_path: Path) -> None:
    """The next is asked for only when the last is done, and each gives its own."""
    taker = BesideTaker(tmp_path, large=10)
    taken = [taker.take([_taught(60, seed)]) for seed in (1, 2, 3)]
    assert [each.ready() for each in taken[:2]] == [True, True]
    assert [each.result()[0][1] for each in taken] == [digest(_taught(60, seed)) for seed in (1, 2, 3)]


@pytest.mark.parametrize("take", [taken_now, "beside"])
def test_what_cannot_be_taken_is_told_as_if_it_were_taken_here(take: object, tmp_path: Path) -> None:
    """A state that holds a lambda raises the same error, with its hint, wherever it is digested."""
    bad = [*range(100), lambda: None]

    def taken() -> Taken:
        return taken_now([[1.0], bad]) if take is taken_now else BesideTaker(tmp_path, large=10).take([[1.0], bad])

    with pytest.raises(DigestError) as told:
        taken().result()
    assert told.value.hint


def test_a_copy_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for it learns that it has ended, and what to look at; nothing half-written is taken for whole."""

    def die(state: object) -> tuple[bytes, str]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(state)

    with monkeypatch.context() as dying:
        dying.setattr("riverrun.models.beside.captured", die)
        taken = BesideTaker(tmp_path, large=10).take([_taught(60)])
    with pytest.raises(SnapshotError, match="ended with status 9"):
        taken.result()


def test_giving_up_ends_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that would take for ever is killed when nobody wants its snapshot any more; twice does no harm."""
    forever = threading.Event()

    def hang(state: object) -> tuple[bytes, str]:
        forever.wait()
        raise AssertionError(state)

    with monkeypatch.context() as hanging:
        hanging.setattr("riverrun.models.beside.captured", hang)
        taken = BesideTaker(tmp_path, large=10).take([_taught(60)])
    assert not taken.ready()
    taken.cancel()
    assert taken.ready()
    taken.cancel()
