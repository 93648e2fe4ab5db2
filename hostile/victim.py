"""A riverrun process under attack: how often it died, and how much memory it had at most."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["Victim"]

_EXIT_LIMIT_S: Final = 60.0
_ENDS: Final = (0, -signal.SIGTERM)
"""Some end well and say so, some end by the signal that they were sent, when all is done."""


class Victim:
    """Runs a command, and runs it again whenever it has ended by itself.

    Parameters
    ----------
    command
        The command.
    environment
        Its settings, over those of this process.
    log
        Where its output goes.
    ends
        Exit codes of a good end.

    Attributes
    ----------
    crashes
        How often it ended by itself.
    peak_rss_mb
        The most memory that any of its lives had, in MiB; 0 where the system does not tell.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, ends: Collection[int] = _ENDS
    ) -> None:
        self.crashes = 0
        self.peak_rss_mb = 0.0
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._log = log
        self._ends = ends
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def look(self) -> None:
        """Note its memory; start it again if it has ended."""
        process = self._process
        if process is None:
            return
        status = Path(f"/proc/{process.pid}/status")
        if process.poll() is None:
            if status.exists():
                rows = dict(
                    line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines() if ":" in line
                )
                # In kilobytes; a process that is just ending has none any more.
                self.peak_rss_mb = max(self.peak_rss_mb, int(rows.get("VmHWM", "0").split()[0]) / 1024)
        else:
            self.crashes += 1
            self.start()

    def stop(self) -> None:
        """Ask it to end, and wait; an end with an error counts as a crash."""
        process = self._process
        if process is None:
            return
        self.look()
        process = self._process or process
        self._process = None
        process.send_signal(signal.SIGTERM)
        try:
            self.crashes += process.wait(_EXIT_LIMIT_S) not in self._ends
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.crashes += 1
