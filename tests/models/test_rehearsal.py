"""What is tried in a copy of the process leaves this one as it was, whatever becomes of the copy."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from riverrun.errors import RiverrunError
from riverrun.models.rehearsal import Limits, Rehearsal, RehearsalError

SMALL = Limits(memory_mb=64, seconds=30)

Act = Callable[[bytes], str]


@pytest.fixture
def rehearsing() -> Iterator[Callable[..., Rehearsal]]:
    made: list[Rehearsal] = []

    def make(act: Act, limits: Limits = SMALL) -> Rehearsal:
        made.append(Rehearsal(act, limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


Rehearsing = Callable[..., Rehearsal]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _without_end(data: bytes) -> str:
    while data:
        pass
    return "never"


def _refuse(data: bytes) -> str:
    raise RiverrunError(f"no such model: {data!r}", hint="look elsewhere")


def _exit(data: bytes) -> str:
    sys.exit(data.decode())


def _hang(data: bytes) -> str:
    threading.Event().wait()
    return str(data)


def _die(data: bytes) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return str(data)


def _grow(data: bytes) -> str:
    return str(bytearray(int(data)))


def test_the_text_comes_back_and_nothing_else(rehearsing: Rehearsing) -> None:
    """What was returned is returned; what was changed in memory is changed in the copy only, which goes on."""
    seen: list[bytes] = []

    def act(data: bytes) -> str:
        seen.append(data)
        return f"Zürich {len(seen)}"

    rehearsal = rehearsing(act)
    assert [rehearsal.run(bytes(size)) for size in (0, 1, 3_000_000)] == ["Zürich 1", "Zürich 2", "Zürich 3"]
    assert seen == []


@pytest.mark.parametrize(
    ("act", "data", "limits", "told"),
    [
        (_refuse, b"x", SMALL, r"^no such model: b'x' \(look elsewhere\)$"),
        (lambda data: str(1 // len(data)), b"", SMALL, "^ZeroDivisionError: "),
        (_exit, b"in the middle", SMALL, "ends the process"),
        (_grow, b"8000000000", SMALL, "^it takes more than 64 MB"),
        (lambda data: str(data.ljust(1 << 33)), b"", SMALL, "^it takes more than 64 MB"),
        (_hang, b"", Limits(seconds=1), "^it takes more than 1 s$"),
        (_without_end, b"x", Limits(seconds=1), "^it takes more than 1 s$|ends the process"),
        (_die, b"", SMALL, "ends the process"),
    ],
    ids=["refusal", "error", "exit", "memory", "text", "hang", "loop", "crash"],
)
def test_whatever_goes_wrong_is_told(rehearsing: Rehearsing, act: Act, data: bytes, limits: Limits, told: str) -> None:
    """An error, a bomb, an endless loop and a crash end in one kind of error here, and cost no memory of ours."""
    before = _peak_mb()
    with pytest.raises(RehearsalError, match=told):
        rehearsing(act, limits).run(data)
    assert _peak_mb() < before + 32


def test_one_bad_thing_does_not_spoil_the_next(rehearsing: Rehearsing) -> None:
    """After a refusal, a bomb and a crash the same rehearsal goes on to answer."""

    def act(data: bytes) -> str:
        return _die(data) if data == b"die" else _refuse(data) if data == b"refuse" else _grow(data)

    rehearsal = rehearsing(act)
    for bad in (b"die", b"refuse", b"8000000000", b"not a number") * 2:
        assert rehearsal.run(b"1") == "bytearray(b'\\x00')"
        with pytest.raises(RehearsalError):
            rehearsal.run(bad)
    assert rehearsal.run(b"1") == "bytearray(b'\\x00')"


def test_memory_is_limited_by_the_call_not_by_the_sum(rehearsing: Rehearsing) -> None:
    """Many calls that each take a good part of the limit are fine."""
    rehearsal = rehearsing(lambda data: str(len(bytearray(int(data)))))
    assert {rehearsal.run(b"40000000") for _ in range(8)} == {"40000000"}


def test_no_copy_and_no_line_is_left_behind() -> None:
    """After close, or when nobody holds a rehearsal any more, there is no child and no open file more than before."""
    before = len(list(Path("/dev/fd").iterdir()))
    children = _children()
    for act in (repr, _die, _refuse):
        rehearsal = Rehearsal(act, SMALL)
        with suppress(RehearsalError):
            rehearsal.run(b"")
        if act is not _refuse:
            rehearsal.close()
        del rehearsal
    assert len(list(Path("/dev/fd").iterdir())) == before
    assert _children() == children


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def test_the_copy_holds_nothing_open_but_its_line(tmp_path: Path, rehearsing: Rehearsing) -> None:
    """A file that was open, or locked, when the copy was made is not open in the copy."""
    with (tmp_path / "lock").open("w") as lock:
        number = lock.fileno()
        rehearsal = rehearsing(lambda data: str(os.fstat(int(data)).st_size))
        with pytest.raises(RehearsalError, match="OSError"):
            rehearsal.run(str(number).encode())


def test_it_works_in_a_process_whose_input_is_closed(rehearsing: Rehearsing, monkeypatch: pytest.MonkeyPatch) -> None:
    # As in every child that the multiprocessing module starts, and in daemons.
    with Path(os.devnull).open(encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "__stdin__", closed)
    assert rehearsing(lambda data: data.decode()).run(b"x") == "x"


def test_it_works_in_a_process_with_thousands_of_connections(rehearsing: Rehearsing) -> None:
    # Beyond 1,024 descriptors `select` fails, which a gateway with many callers has.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard) if hard > 0 else 4_096, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        assert rehearsing(lambda data: data.decode()).run(b"x") == "x"
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_it_works_beside_busy_threads(rehearsing: Rehearsing) -> None:
    """Several threads may ask at once, while others allocate, and each gets its own answer."""
    rehearsal = rehearsing(lambda data: str(sum(data)))
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            sorted(str(number) for number in range(1_000))

    busy = threading.Thread(target=work)
    busy.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            asked = [bytes([number] * 1_000) for number in range(100)]
            assert list(pool.map(rehearsal.run, asked)) == [str(sum(data)) for data in asked]
    finally:
        stop.set()
        busy.join()
