"""Does something dangerous in a copy of this process first, under limits of memory and time.

To open a snapshot is to let its pickle say what to build. The names that it may use are listed, but a listed one can
still be told to build something huge, or send a library's C code where it has never been. So the state is opened in a
copy of this process first, which may take no more memory than it is given and no more time; only what went well there
is done here. The copy is made by ``fork``: it has every class at hand, the pipeline file's too. It serves until it has
had nothing to do for a while, and ends with this process.

Linux holds the copy to the limit of memory. Where it cannot be asked for (macOS), only the limit of time holds.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import socket
import struct
import threading
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from riverrun.errors import RiverrunError

__all__ = ["DEFAULT_LIMITS", "Limits", "Rehearsal", "RehearsalError"]

_FINE: Final = b"+"
_REFUSED: Final = b"-"
_MOST_TOLD: Final = 512
_LENGTH: Final = struct.Struct(">Q")
_MB: Final = 1 << 20
_STATM: Final = Path("/proc/self/statm")
_IDLE_S: Final = 30.0
_TRIES: Final = 2
_STANDARD: Final = 3
"""How many descriptors every process has: input, output and errors."""


class RehearsalError(RiverrunError):
    """What was rehearsed failed: it raised, took too much memory or time, or ended its process."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one rehearsal may take.

    Parameters
    ----------
    memory_mb
        Memory beyond what the copy of the process has already. MiB.
    seconds
        Time, and processor time.
    """

    memory_mb: int = 1_024
    seconds: int = 60


DEFAULT_LIMITS: Final = Limits()
"""Room for any model that riverrun was tried with, many times over."""


class Rehearsal:
    """Tries one thing, with ever other data, in a copy of this process. Safe to share among threads.

    Parameters
    ----------
    act
        Makes a text of at most 500 bytes from data. Whatever else it changes is lost. It may only use what one thread
        can use alone: other threads do not exist in the copy, and what they had locked stays locked.
    limits
        What each call may take.

    Examples
    --------
    >>> rehearsal = Rehearsal(lambda data: str(1 // len(data)), Limits())
    >>> rehearsal.run(b"x")
    '1'
    >>> rehearsal.run(b"")
    Traceback (most recent call last):
    riverrun.models.rehearsal.RehearsalError: ZeroDivisionError: integer division or modulo by zero
    >>> rehearsal.close()
    """

    def __init__(self, act: Callable[[bytes], str], limits: Limits = DEFAULT_LIMITS) -> None:
        self._act = act
        self._limits = limits
        self._lock = threading.Lock()
        self._copy: _Copy | None = None

    def run(self, data: bytes) -> str:
        """Call ``act`` in the copy and return the text that it returned there.

        Raises
        ------
        RehearsalError
            If it raised, or did not return within the limits.
        """
        with self._lock:
            told = b""
            for _ in range(_TRIES):
                told = self._ask(data)
                # Nothing at all: the copy ended. It may have been about to end anyway, so a fresh one is asked too.
                if told:
                    break
        if told.startswith(_FINE):
            return told[1:].decode()
        raise RehearsalError(told[1:].decode(errors="replace") or "it ends the process in which it is tried")

    def close(self) -> None:
        """End the copy, if there is one; the next call makes another."""
        with self._lock:
            self._end()

    def _ask(self, data: bytes) -> bytes:
        if self._copy is None or self._copy.parent != os.getpid():
            self._copy = _Copy(self._act, self._limits)
        try:
            told = self._copy.ask(data)
        except TimeoutError:
            self._end()
            return _REFUSED + b"it takes more than %d s" % self._limits.seconds
        except OSError:
            told = b""
        if not told:
            self._end()
        return told

    def _end(self) -> None:
        if self._copy is not None:
            self._copy.end()
        self._copy = None


class _Copy:
    """One copy of the process, and the line on which it is asked."""

    __slots__ = ("__weakref__", "_line", "end", "parent")

    def __init__(self, act: Callable[[bytes], str], limits: Limits) -> None:
        self.parent = os.getpid()
        self._line, theirs = socket.socketpair()
        self._line.settimeout(limits.seconds)
        with warnings.catch_warnings():
            # From 3.12 on Python warns of forks beside threads. The copy calls but ``act``, and is given up in time.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _serve(act, limits, theirs.detach())
        theirs.close()
        # Called when nobody holds this any more, at the end of the process at the latest.
        self.end = weakref.finalize(self, _end, self._line, pid, self.parent)

    def ask(self, data: bytes) -> bytes:
        """Return the answer; nothing if the copy ended before it could give one."""
        self._line.sendall(_LENGTH.pack(len(data)))
        self._line.sendall(data)
        return self._line.recv(_MOST_TOLD)


def _end(line: socket.socket, pid: int, parent: int) -> None:
    """End a copy, whatever it does, unless it is another process's: a fork of its parent knows it too."""
    line.close()
    if os.getpid() == parent:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _serve(act: Callable[[bytes], str], limits: Limits, descriptor: int) -> NoReturn:
    """Answer until nobody asks any more; the process ends here, whatever happens, without a word to anyone else."""
    try:
        # What was there before is left alone: the collector would write into, and so copy, every page of it.
        gc.freeze()
        _let_go_of_all_but(descriptor)
        with socket.socket(fileno=descriptor) as line:
            # Not ``select``: it knows no descriptor beyond 1,023, and its process may have had thousands.
            asked = select.poll()
            asked.register(line, select.POLLIN)
            while asked.poll(_IDLE_S * 1_000):
                head = line.recv(_LENGTH.size, socket.MSG_WAITALL)
                if len(head) < _LENGTH.size:
                    break
                data = bytearray(_LENGTH.unpack(head)[0])
                line.recv_into(data, flags=socket.MSG_WAITALL)
                line.sendall(_answer(act, bytes(data), limits)[:_MOST_TOLD])
                del data
                gc.collect()
    finally:
        os._exit(0)


def _answer(act: Callable[[bytes], str], data: bytes, limits: Limits) -> bytes:
    _hold_to(limits)
    try:
        return _FINE + _outcome(act, data).encode()
    except MemoryError:
        return _REFUSED + b"it takes more than %d MB of memory" % limits.memory_mb
    except RiverrunError as error:
        return _REFUSED + str(error).encode(errors="replace")


def _outcome(act: Callable[[bytes], str], data: bytes) -> str:
    try:
        return act(data)
    except (MemoryError, RiverrunError):
        raise
    except Exception as error:
        raise RehearsalError(f"{type(error).__name__}: {error}") from error


def _let_go_of_all_but(descriptor: int) -> None:
    """Close what was open: a connection or a lock of the process must end with the process, though its copy lives."""
    nothing = os.open(os.devnull, os.O_RDWR)
    # By their numbers: Python's own names for them may be closed already, as input is in a child of multiprocessing.
    for standard in range(_STANDARD):
        if standard != descriptor:
            os.dup2(nothing, standard)
    os.closerange(_STANDARD, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))


def _hold_to(limits: Limits) -> None:
    """Lower the limits for what comes next: they are counted from what the copy has used until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + limits.seconds)
    if _STATM.exists():
        size = int(_STATM.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, size + limits.memory_mb * _MB)


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
