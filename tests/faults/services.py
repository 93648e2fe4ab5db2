"""Services as operating-system processes, to be killed, frozen, thawed and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["STAGES", "Service"]

STAGES: Final = ("ingest", "features", "score", "labels", "learn")
_CLI: Final = ("-c", "from riverrun.cli import main; main()")
_ROOT: Final = Path(__file__).parents[2]
_EXIT_LIMIT_S: Final = 30.0
_LOG_TAIL: Final = 3_000


class Service:
    """One process of riverrun.

    Parameters
    ----------
    name
        What messages call it, and its log file.
    arguments
        What Python is given.
    environment
        Its settings, over those of this process.
    logs
        Folder for its output.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._command = [sys.executable, *arguments]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @classmethod
    def stage(cls, stage: str, file: Path, environment: Mapping[str, str], logs: Path) -> Service:
        """Return one stage by itself: ``python -m services.<stage> FILE``."""
        return cls(stage, ["-m", f"services.{stage}", str(file)], environment, logs)

    @classmethod
    def chain(
        cls, name: str, file: Path, environment: Mapping[str, str], logs: Path, stages: Sequence[str] = STAGES
    ) -> Service:
        """Return stages in one process: ``riverrun run FILE STAGE...``."""
        return cls(name, [*_CLI, "--verbose", "run", str(file), *stages], environment, logs)

    def start(self) -> None:
        """Start, or start again."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self._command,
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> int | None:
        """The code with which it ended by itself, or None."""
        return None if self._process is None else self._process.poll()

    def says(self, text: str) -> bool:
        """Whether it has logged this since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return text.encode() in log.read()

    @property
    def works(self) -> bool:
        """Whether it has taken a partition since it was last started, and so can be asked to drain."""
        return self.says("] runs")

    def kill(self) -> None:
        """End it at once: nothing of it runs any more (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """Ask it to drain (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end after `terminate`; return the exit code."""
        assert self._process is not None, f"{self.name} was not started"
        code = self._process.wait(_EXIT_LIMIT_S)
        self._process = None
        return code

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does (SIGSTOP): connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if no time had passed (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None, f"{self.name} was not started"
        self._process.send_signal(number)

    def told(self) -> str:
        """Return the end of its output."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return f"--- {self.name} (exit code {self.ended}):\n{text[-_LOG_TAIL:]}"
