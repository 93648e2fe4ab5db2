"""The life of an embedded server: start or find again, stop, kill, pause, resume.

A server belongs to a folder. At most one runs there: whoever starts takes the folder's lock, looks for a
process that the last run left, and shares it if its owner still lives. A process whose owner died is ended
first, since the kernel may be about to end it anyway.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from riverrun.embedded.folder_lock import folder_lock
from riverrun.embedded.ports import LOOPBACK, choose_ports
from riverrun.embedded.process import Process, ProcessId, spawn
from riverrun.embedded.run_record import RunRecord
from riverrun.errors import UnavailableError

__all__ = ["Server", "announce_on_stderr"]

_PROBE_INTERVAL_S = 0.03
_START_ATTEMPTS = 3  # a port can be taken between our looking at it and the server's listening on it
_LOG_LIMIT_BYTES = 10_000_000
_TAIL_BYTES = 4_000


def announce_on_stderr(line: str) -> None:
    """Tell the person at the terminal what takes time."""
    sys.stderr.write(f"riverrun: {line}\n")
    sys.stderr.flush()


class Server(ABC):
    """One server process in one folder.

    Subclasses say how it is configured, run and asked whether it is ready.

    Parameters
    ----------
    folder : Path
        Where the server keeps everything: data, configuration, log, ``run.json``.
    die_with_parent : bool
        Whether it ends with the process that started it: at a clean exit, and on Linux however that process
        dies. Otherwise it goes on until `stop` is called.
    announce : callable
        Told in one line what takes time.
    """

    name: ClassVar[str]
    port_count: ClassVar[int]
    start_timeout_s: ClassVar[float]
    stop_timeout_s: ClassVar[float]

    def __init__(self, folder: Path, *, die_with_parent: bool, announce: Callable[[str], None]) -> None:
        self.folder = folder.absolute()
        self.die_with_parent = die_with_parent
        self._announce = announce
        self._process: Process | None = None
        self._owned = False
        self._ports: tuple[int, ...] = ()

    # What a subclass says.

    @abstractmethod
    def _prepare(self) -> None:
        """Write configuration and, the first time, data for `ports`."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the program and its arguments."""

    @abstractmethod
    def _why_not_ready(self) -> str:
        """Ask the server for something real; return why it did not answer, or nothing when it did."""

    # What everybody uses.

    @property
    def log(self) -> Path:
        """The file with everything the server printed."""
        return self.folder / "server.log"

    @property
    def ports(self) -> tuple[int, ...]:
        """The loopback ports of the running server.

        Raises
        ------
        UnavailableError
            When it was not started.
        """
        if not self._ports:
            raise UnavailableError(f"the embedded {self.name} in {self.folder} was not started", hint="call start()")
        return self._ports

    @property
    def running(self) -> bool:
        """Whether the process exists (a paused one does)."""
        return self._process is not None and self._process.alive

    @property
    def owned(self) -> bool:
        """Whether this object started the process, and not somebody else whose server it shares."""
        return self._owned

    @property
    def pid(self) -> int:
        """The number of the process, 0 if there is none."""
        return self._process.identity.pid if self._process is not None and self._process.alive else 0

    def start(self) -> Self:
        """Start the server, or share the one that runs in this folder, and return when it answers.

        Returns
        -------
        Server
            Itself.

        Raises
        ------
        UnavailableError
            When a program is missing, or the server ends or does not answer in time. The message quotes its
            log.
        """
        if self._owned and self.running:
            return self
        with folder_lock(self.folder):
            record = RunRecord.read(self.folder)
            if record.shared:
                self._share(record)
            else:
                if record.server.alive:
                    self._announce(f"ending the {self.name} that a dead process left behind")
                    self._end(Process(record.server))
                self._launch(record)
        return self

    def find(self) -> bool:
        """Attach to the server that runs in this folder, starting none.

        Returns
        -------
        bool
            Whether there is one.
        """
        record = RunRecord.read(self.folder)
        if self.running or not record.shared:
            return self.running
        self._share(record)
        return True

    def stop(self, *, shared: bool = False) -> None:
        """End the server in order, waiting until it has closed its files. Idempotent.

        Parameters
        ----------
        shared : bool, optional
            Whether to end it also if somebody else started it; else that one is only let go.
        """
        atexit.unregister(self._stop_at_exit)
        if self._process is not None and (self._owned or shared):
            with folder_lock(self.folder):
                self._end(self._process)
                self._forget()
        self._process, self._owned = None, False

    def kill(self) -> None:
        """End the process at once, as a crash would (SIGKILL); `start` brings it back on the same ports."""
        if self._process is not None:
            self._process.signal(signal.SIGKILL)
            self._process.wait(self.stop_timeout_s)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open, nothing answers."""
        if self._process is not None:
            self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        if self._process is not None:
            self._process.signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    # How it is done.

    def _share(self, record: RunRecord) -> None:
        process = Process(record.server)
        self._ports = record.ports
        reason = self._await_ready(process)
        if reason:
            raise UnavailableError(
                f"the {self.name} in {self.folder}, process {record.server.pid}, does not answer: {reason}",
                hint="resume or stop it, or use another data folder",
            )
        self._process, self._owned = process, False

    def _launch(self, record: RunRecord) -> None:
        began = time.monotonic()
        self._rotate_log()
        preferred = record.ports
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._ports = choose_ports(self.port_count, preferred)
            self._prepare()
            log_start = self.log.stat().st_size if self.log.exists() else 0
            self._announce(f"starting {self.name} in {self.folder}")
            process = spawn(self._command(), folder=self.folder, output=self.log, die_with_parent=self.die_with_parent)
            RunRecord(
                server=process.identity,
                owner=ProcessId.current(),
                lasting=not self.die_with_parent,
                ports=self._ports,
            ).write(self.folder)
            self._process, self._owned = process, True
            if self.die_with_parent:
                atexit.register(self._stop_at_exit, os.getpid())
            reason = self._await_ready(process)
            if not reason:
                break
            self._end(process)
            self._forget()
            output = self._log_since(log_start)
            if attempt == _START_ATTEMPTS or "already in use" not in output:
                self._process, self._owned = None, False
                raise UnavailableError(f"{self.name} does not start: {reason}", hint=f"see {self.log}: {output}")
            preferred = ()
        self._announce(f"{self.name} is ready at {LOOPBACK}:{self._ports[0]} after {time.monotonic() - began:.1f} s")

    def _await_ready(self, process: Process) -> str:
        deadline = time.monotonic() + self.start_timeout_s
        reason = "no answer"
        while time.monotonic() < deadline:
            if not process.alive:
                return "the process has ended"
            reason = self._why_not_ready()
            if not reason or process.wait(_PROBE_INTERVAL_S):
                break
        return reason

    def _end(self, process: Process) -> None:
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGCONT)  # a paused process cannot act on SIGTERM
        if not process.wait(self.stop_timeout_s):
            process.signal(signal.SIGKILL)
            process.wait(self.stop_timeout_s)

    def _forget(self) -> None:
        record = RunRecord.read(self.folder)
        if not record.server.alive:
            record.stopped().write(self.folder)

    def _stop_at_exit(self, starter_pid: int) -> None:
        if os.getpid() == starter_pid:  # not in a fork that inherited this object
            self.stop()

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _log_since(self, start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(max(start, self.log.stat().st_size - _TAIL_BYTES))
            return log.read().decode("utf-8", errors="replace").strip()
