"""Operating-system processes that outlive the object (and perhaps the program) that started them.

A process is known by its id *and* the moment it was born, since ids are used again: a pid file left by a
crash must never make us signal a stranger.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from riverrun.errors import UnavailableError

__all__ = ["Process", "ProcessId", "spawn"]

_POLL_S = 0.02
_PROC = Path("/proc")
_SHIM = Path(__file__).with_name("exec_with_parent.py")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told apart from later ones with the same number.

    Attributes
    ----------
    pid : int
        The operating system's number.
    born : str
        When it started, as the system words it; empty if there is no such process.
    """

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Look up a running process; zombies count as gone."""
        return cls(pid, _born(pid))

    @classmethod
    def current(cls) -> ProcessId:
        """Return the identity of the calling process."""
        return cls.of(os.getpid())

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (or is paused)."""
        return bool(self.born) and _born(self.pid) == self.born


class Process:
    """A process to signal and to wait for, whether or not it is our child.

    Parameters
    ----------
    identity : ProcessId
        Which process.
    child : subprocess.Popen, optional
        Given when it is our child: it is then reaped, and waiting takes no polling.
    """

    __slots__ = ("_child", "identity")

    def __init__(self, identity: ProcessId, child: subprocess.Popen[bytes] | None = None) -> None:
        self.identity = identity
        self._child = child

    @property
    def alive(self) -> bool:
        """Whether it still runs (or is paused)."""
        if self._child is not None:
            # The poll reaps it. Both sources are asked so that whoever is not its parent sees the same.
            return self._child.poll() is None and self.identity.alive
        return self.identity.alive

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.identity.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end.

        Parameters
        ----------
        timeout_s : float
            How long at most, in seconds.

        Returns
        -------
        bool
            Whether it has ended.
        """
        if self._child is not None:
            try:
                self._child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return False
            return True
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() >= deadline:
                return False
            # Not our child: no portable call waits for it.
            time.sleep(_POLL_S)
        return True


def spawn(command: Sequence[str], *, folder: Path, output: Path, die_with_parent: bool) -> Process:
    """Start a program in a session of its own, so that Ctrl-C at our terminal does not reach it.

    Parameters
    ----------
    command : sequence of str
        Program (absolute path) and arguments.
    folder : Path
        Its working directory.
    output : Path
        The file to which both of its outputs are appended.
    die_with_parent : bool
        Whether the kernel ends it when we die, however we die. Only Linux can.

    Returns
    -------
    Process
        The running child.
    """
    arguments = list(command)
    if die_with_parent and sys.platform == "linux":
        arguments = [sys.executable, "-I", "-S", str(_SHIM), str(os.getpid()), *arguments]
    child = _forker.run(arguments, folder, output)
    return Process(ProcessId.of(child.pid), child)


_Request = tuple[list[str], Path, Path, Future[subprocess.Popen[bytes]]]


class _Forker:
    """One thread that does all forking: what dies with its parent dies with the thread that forked it."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, arguments: list[str], folder: Path, output: Path) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # never started, or we are a fork of who did
                self._requests = queue.SimpleQueue()
                self._thread = threading.Thread(target=self._work, name="riverrun-forker", daemon=True)
                self._thread.start()
            self._requests.put((arguments, folder, output, answer))
        return answer.result()

    def _work(self) -> None:
        while True:
            arguments, folder, output, answer = self._requests.get()
            try:
                with output.open("ab") as log:
                    child = subprocess.Popen(
                        arguments,
                        cwd=folder,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
            except OSError as error:
                answer.set_exception(error)
            else:
                answer.set_result(child)


_forker = _Forker()


def _born(pid: int) -> str:
    if pid <= 0:
        return ""
    return _born_by_proc(pid) if (_PROC / "self" / "stat").exists() else _born_by_ps(pid)


def _born_by_proc(pid: int) -> str:
    try:
        # The command name may hold spaces and brackets; what follows the last bracket is regular (proc(5)).
        status = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    state, threads, start_ticks = fields[0], int(fields[17]), fields[19]
    # Its first thread may be a zombie while others are still at work, with files and ports open.
    return "" if state in {"Z", "X"} and threads <= 1 else start_ticks


def _born_by_ps(pid: int) -> str:
    program = shutil.which("ps")
    if program is None:
        raise UnavailableError("the ps program is not on the PATH", hint="it tells whether a server still runs")
    listing = subprocess.run(
        [program, "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout.strip()
    state, _, start_time = listing.partition(" ")
    return "" if state.startswith("Z") else start_time.strip()
