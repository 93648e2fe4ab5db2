"""Services as operating-system processes, to be killed, frozen, thawed and stopped."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["DRIFT_STAGES", "STAGES", "Service"]

STAGES: Final = ("ingest", "features", "score", "labels", "learn")
DRIFT_STAGES: Final = ("drift-inputs", "drift-errors")
"""Both in one service."""
_CLI: Final = ("-c", "from riverrun.cli import main; main()")
_ROOT: Final = Path(__file__).parents[1]
_EXIT_LIMIT_S: Final = 60.0
_FENCED: Final = b" was fenced "
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

    Attributes
    ----------
    stages
        What it runs.
    doomed
        Whether it is to end: nobody need start it again.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self.stages: tuple[str, ...] = STAGES
        self.doomed = False
        self._command = [sys.executable, *arguments]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @classmethod
    def stage(cls, stage: str, file: Path, environment: Mapping[str, str], logs: Path) -> Service:
        """Return one stage by itself: ``python -m services.<stage> FILE``."""
        service = cls(stage, ["-m", f"services.{stage}", str(file)], environment, logs)
        service.stages = (stage,)
        return service

    @classmethod
    def chain(
        cls, name: str, file: Path, environment: Mapping[str, str], logs: Path, stages: Sequence[str] = STAGES
    ) -> Service:
        """Return stages in one process: ``riverrun run FILE STAGE...``."""
        service = cls(name, [*_CLI, "--verbose", "run", str(file), *stages], environment, logs)
        service.stages = tuple(stages)
        return service

    def another(self, name: str, settings: Mapping[str, str]) -> Service:
        """Return the same again, as a process of its own with other settings."""
        service = Service(name, self._command[1:], {**self._environment, **settings}, self.log.parent)
        service.stages = self.stages
        return service

    @classmethod
    def beside(cls, name: str, file: Path, environment: Mapping[str, str], logs: Path) -> Service:
        """Return a service that runs no stage, the alerts or the gateway: ``python -m services.<name> FILE``."""
        service = cls.stage(name, file, environment, logs)
        service.stages = ()
        return service

    @classmethod
    def drift(cls, file: Path, environment: Mapping[str, str], logs: Path) -> Service:
        """Return the service that watches for drift: ``python -m services.drift FILE``."""
        service = cls.stage("drift", file, environment, logs)
        service.stages = DRIFT_STAGES
        return service

    def start(self, **settings: str) -> None:
        """Start, or start again; ``settings`` are for this life alone.

        Raises
        ------
        AssertionError
            If it runs already.
        """
        assert not self.running, f"{self.name} runs already"
        self.doomed = False
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self._command,
                cwd=_ROOT,
                env={**self._environment, **settings},
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
    def fenced(self) -> int:
        """How often it has said, in all its lives, that another had shut it out."""
        return self.log.read_bytes().count(_FENCED) if self.log.exists() else 0

    @property
    def works(self) -> bool:
        """Whether it has taken a partition since it was last started, and so can be asked to drain."""
        return self.says("] runs")

    @property
    def memory_mb(self) -> float:
        """Its resident memory, in MiB; 0 if it does not run, or the system does not tell."""
        if self._process is None:
            return 0.0
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * resource.getpagesize() / (1 << 20)

    def kill(self) -> None:
        """End it at once: nothing of it runs any more (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """Ask it to drain (SIGTERM)."""
        self.doomed = True
        self._signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end; return the exit code."""
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

    def limit_files(self, size: int) -> None:
        """Let no file that it writes grow beyond ``size`` bytes; -1 for no limit."""
        assert self._process is not None, f"{self.name} was not started"
        limit_files(self._process.pid, size)

    def _signal(self, number: int) -> None:
        assert self._process is not None, f"{self.name} was not started"
        self._process.send_signal(number)

    def told(self) -> str:
        """Return the end of its output."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return f"--- {self.name} (exit code {self.ended}):\n{text[-_LOG_TAIL:]}"


def limit_files(pid: int, size: int) -> None:
    """Let no file of a process grow beyond ``size`` bytes, as on a full disk; -1 for no limit.

    Needs no privileges, unlike a small file system of its own; only Linux has it.
    """
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size < 0 else size, hard))
