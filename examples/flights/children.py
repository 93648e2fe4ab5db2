"""The demo's processes, such as publisher and pipeline: started, listened to, measured and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from riverrun.errors import RiverrunError

RIVERRUN = (sys.executable, "-c", "from riverrun.cli import main; main()")
"""The ``riverrun`` command of this very environment, to be followed by its arguments."""

_STOP_S = 30.0
_LOOK_S = 0.25
_STATUS = "/proc/{pid}/status"
_Found = TypeVar("_Found")


class Child:
    """A process that writes JSON lines; ``latest`` merges what they said, the newest winning.

    Parameters
    ----------
    name
        For messages.
    command
        Program and arguments.
    environment
        Settings, on top of this process's own.
    log
        File for its standard error.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.latest: dict[str, object] = {}
        self.peak_mb = 0.0
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._listener = threading.Thread(target=self._listen, name=f"demo-{name}", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                self.latest = {**self.latest, **said}

    def number(self, key: str) -> int:
        """Return a count that it said last, 0 before the first."""
        value = self.latest.get(key, 0)
        return value if isinstance(value, int) else 0

    def says(self, key: str) -> bool:
        """Tell whether it has said that ``key`` is so."""
        return self.latest.get(key) is True

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        if self._process.stdin is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def check(self) -> None:
        """Raise if it has ended by itself with an error.

        Raises
        ------
        RiverrunError
            With the end of its log.
        """
        code = self._process.poll()
        if code:
            tail = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise RiverrunError(f"the {self.name} has ended with exit code {code}: {' | '.join(tail)}")

    def memory_mb(self) -> float:
        """Return its resident memory in MiB (0 where the system does not tell), and remember the most."""
        try:
            lines = Path(_STATUS.format(pid=self._process.pid)).read_text(encoding="ascii").splitlines()
        except OSError:
            return 0.0
        found = next((line.split()[1] for line in lines if line.startswith("VmRSS:")), "0")
        now = int(found) / 1024
        self.peak_mb = max(self.peak_mb, now)
        return now

    def stop(self) -> int:
        """Ask it to end, wait, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._listener.join(_STOP_S)
        return code

    def __enter__(self) -> Self:
        """Return itself, running."""
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        self.stop()


def wait_for(
    look: Callable[[], _Found | None], *children: Child, what: str, see: str, limit_s: float = 600.0
) -> _Found:
    """Wait until ``look`` finds something, while children work; return what it found.

    Raises
    ------
    RiverrunError
        If one of them ends with an error, or ``what`` makes no progress.
    """
    limit = time.monotonic() + limit_s
    while (found := look()) is None:
        for child in children:
            child.check()
        if time.monotonic() > limit:
            raise RiverrunError(f"{what} makes no progress", hint=f"see {see}")
        # What is waited for happens in other processes, and they cannot wake us.
        time.sleep(_LOOK_S)
    return found


def start_stages(name: str, file: Path, stages: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """Start some stages of a pipeline file, chained in one process."""
    return Child(name, [*RIVERRUN, "run", str(file), *stages, "--json"], environment, log)


def start_publisher(
    messages: int, steady: int, schema_ids: Mapping[str, int], environment: Mapping[str, str], log: Path
) -> Child:
    """Start the process that publishes the year."""
    command = [sys.executable, "-m", "examples.flights.publish", "--messages", str(messages)]
    command += ["--steady", str(steady), "--schema-ids", json.dumps(dict(schema_ids))]
    return Child("publisher", command, environment, log)
