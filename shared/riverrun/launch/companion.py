"""A process that runs beside the stages, such as the alerts: started, started again when it ends, and ended with us."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Self

from riverrun.embedded.process import Process, spawn
from riverrun.errors import SettingsError
from riverrun.pipeline import load
from riverrun.runtime.backoff import Backoff

__all__ = ["Companion", "companions_of"]

_LOG = logging.getLogger("riverrun.process")
_STOP_S: Final = 10.0
_WELL_S: Final = 60.0


class Companion:
    """Keeps a process running for as long as a ``with`` statement lasts.

    Parameters
    ----------
    name
        What the log calls it.
    command
        Program (absolute path) and arguments.
    output
        The file that its output is appended to.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, name: str, command: Sequence[str], output: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._command = list(command)
        self._output = output
        self._clock = clock
        self._process: Process | None = None
        self._waits = Backoff(1.0, 30.0)
        self._begun = 0.0
        self._not_before = 0.0

    @property
    def running(self) -> bool:
        """Whether it runs at this moment."""
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """Start it."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._begun = self._clock()
        self._process = spawn(self._command, folder=Path.cwd(), output=self._output, die_with_parent=True)

    def look(self) -> None:
        """Start it again if it has ended: at once, and later the more often that happens the later."""
        if self._process is None or self.running:
            return
        now = self._clock()
        if self._begun:
            if now - self._begun > _WELL_S:
                self._waits = Backoff(1.0, 30.0)
            wait = self._waits.next()
            _LOG.warning("%s has ended: starting it again in %.0f s; %s tells why", self.name, wait, self._output)
            self._not_before, self._begun = now + wait, 0.0
        elif now >= self._not_before:
            self.start()

    def stop(self) -> None:
        """End it: in order if it can be, by force if not."""
        process, self._process = self._process, None
        if process is None:
            return
        process.signal(signal.SIGTERM)
        if not process.wait(_STOP_S):
            process.signal(signal.SIGKILL)
            process.wait(_STOP_S)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        self.stop()


def companions_of(file: Path, data_folder: Path) -> list[Companion]:
    """Return what runs beside the stages of a pipeline file: the alerts, if it has any.

    Raises
    ------
    SettingsError
        If they need what is not installed.
    RiverrunError
        If the file cannot be loaded.
    """
    if not load(file).alerts:
        return []
    try:
        # Not find_spec: Faust takes its own place among the loaded modules, and has no spec then.
        version("faust-streaming")
    except PackageNotFoundError:
        raise SettingsError(
            f"{file} has alerts, and Faust is not installed", hint="pip install 'riverrun[alerts]', or take them out"
        ) from None
    command = [sys.executable, "-m", "services.alerts", str(file.resolve())]
    return [Companion("the alerts service", command, data_folder.absolute() / "alerts.log")]
