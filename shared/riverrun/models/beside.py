"""Takes snapshots of large models beside the stream, in a copy of the process, so that it does not stand still.

To pickle and digest a forest takes seconds. A ``fork`` gives a copy of all memory within milliseconds, exactly as it
is between two examples; the copy takes the snapshot and ends, while this process goes on learning. Pages that either
of the two writes to are copied by the system then.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NoReturn, Protocol

from riverrun.models.digest import DigestError
from riverrun.models.footprint import has_more_objects
from riverrun.models.snapshot import SnapshotError, captured

__all__ = ["BesideTaker", "Take", "Taken", "taken_now"]

Snapshot = tuple[bytes, str]
"""A state's pickle and its digest."""

_LARGE: Final = 20_000
"""Objects that take about 50 ms to pickle and digest: a linear model of 20,000 weights, a tree of 50 leaves."""

_HEAD: Final = struct.Struct(">Q64s")
"""Before each state's pickle: its length, and the digest in hexadecimal."""

_CODE_REFUSED: Final = 3
_REFUSED: Final = _CODE_REFUSED << 8
"""How a copy ends that was given a state that cannot be taken, and what ``waitpid`` makes of that."""

_NICE: Final = 5
"""The copy gives way to the stream where there are too few processors for both."""


class Taken(Protocol):
    """Snapshots that have been taken, or are being taken, of some states as they were at one instant."""

    def ready(self) -> bool:
        """Tell whether ``result`` returns at once."""
        ...

    def result(self) -> Sequence[Snapshot]:
        """Wait, and return each state's pickle and digest.

        Raises
        ------
        RiverrunError
            If a state cannot be digested or pickled, or the copy that was to do it has ended before.
        """
        ...

    def cancel(self) -> None:
        """Give up on them."""
        ...


Take = Callable[[Sequence[object]], Taken]
"""Takes snapshots of states that may change as soon as it returns."""


class _Done:
    """Snapshots that were taken at once."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots

    def ready(self) -> bool:
        return True

    def result(self) -> Sequence[Snapshot]:
        return self._snapshots

    def cancel(self) -> None:
        return


def taken_now(states: Sequence[object]) -> Taken:
    """Take snapshots at once.

    Raises
    ------
    DigestError
        If a state cannot be digested or pickled.
    """
    return _Done([captured(state) for state in states])


class BesideTaker:
    """Takes snapshots of what is large in a copy of the process, of the rest at once.

    At most one copy is at work: who asks for the next snapshot before the last one is taken waits for that.

    Parameters
    ----------
    folder : Path
        Where the copy leaves them, in a file without a name. Created when absent.
    large : int
        From how many objects on.
    """

    def __init__(self, folder: Path, large: int = _LARGE) -> None:
        self._folder = folder
        self._large = large
        self._last: _Beside | None = None

    def take(self, states: Sequence[object]) -> Taken:
        """Take snapshots of states that may change as soon as this returns."""
        if not has_more_objects(states, self._large):
            return taken_now(states)
        if self._last is not None:
            self._last.wait()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._last = _Beside(states, self._folder)
        return self._last


class _Beside:
    """A copy of this process that takes snapshots."""

    def __init__(self, states: Sequence[object], folder: Path) -> None:
        self._file, name = tempfile.mkstemp(dir=folder)
        Path(name).unlink()
        self._snapshots: Sequence[Snapshot] | None = None
        self._status: int | None = None
        with warnings.catch_warnings():
            # From 3.12 on Python warns of forks beside threads. The copy does nothing but pickle, digest and write.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = os.fork()
        if self._child == 0:
            _perform(states, self._file)

    def ready(self) -> bool:
        if self._status is None:
            ended, status = os.waitpid(self._child, os.WNOHANG)
            self._status = status if ended else None
        return self._status is not None

    def wait(self) -> None:
        """Wait until the copy has ended, however."""
        if self._status is None:
            self._status = os.waitpid(self._child, 0)[1]

    def result(self) -> Sequence[Snapshot]:
        if self._snapshots is None:
            self.wait()
            self._snapshots = self._read()
        return self._snapshots

    def cancel(self) -> None:
        if not self.ready():
            os.kill(self._child, signal.SIGKILL)
            self.wait()
        if self._snapshots is None:
            os.close(self._file)
            self._snapshots = ()

    def _read(self) -> Sequence[Snapshot]:
        with os.fdopen(self._file, "rb") as file:
            if self._status == _REFUSED:
                file.seek(0)
                message, hint = json.loads(file.read())
                raise DigestError(message, hint=hint)
            if self._status != 0:
                raise SnapshotError(
                    f"the copy of the process that takes a snapshot has ended with status {self._status}",
                    hint="is there memory for it, and room on the disk? the next start takes the snapshot again",
                )
            file.seek(0)
            return list(_snapshots(file))


def _snapshots(file: BinaryIO) -> Iterator[Snapshot]:
    while head := file.read(_HEAD.size):
        length, state_digest = _HEAD.unpack(head)
        yield file.read(length), state_digest.decode()


def _perform(states: Sequence[object], descriptor: int) -> NoReturn:
    """Take the snapshots and end this process, whatever happens, without a word to anyone else."""
    code = 1
    try:
        with suppress(OSError):
            os.nice(_NICE)
        with os.fdopen(descriptor, "wb") as file:
            try:
                for state in states:
                    payload, state_digest = captured(state)
                    file.write(_HEAD.pack(len(payload), state_digest.encode()))
                    file.write(payload)
                code = 0
            except DigestError as error:
                file.seek(0)
                file.truncate()
                file.write(json.dumps([error.message, error.hint]).encode())
                code = _CODE_REFUSED
    finally:
        os._exit(code)
