"""Faust's worker, that ends when it is to end: within a limit, and with a code that says whether all was done."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any, Final, NoReturn

from faust.worker import Worker

__all__ = ["EXIT_DENIED", "LimitedWorker", "end_now", "end_within", "log_faust_from"]

_LOG = logging.getLogger("riverrun.alerts")
EXIT_DENIED: Final = 2
"""That of wrong settings, as all services and commands have it."""
_FAUST_LOGGERS: Final = ("faust", "mode", "services.alerts.prompt_start")
"""What Faust logs by: a class of its own logs by the module that it is in, and so do ours that are made of one."""
_CRASHED_S: Final = 2.0
"""How long one that crashed may take at most: there is nothing left to be drained, but a group to be left."""


def log_faust_from(level: int) -> None:
    """Let Faust log what is of this level, or graver."""
    for name in _FAUST_LOGGERS:
        logging.getLogger(name).setLevel(level)


def end_within(seconds: float) -> None:
    """End this process if it has not ended by itself after so many seconds.

    Faust can hang while it stops: its consumer commits once more, fails if no transaction has been begun ("Not in the
    middle of a transaction"), and what it was to tell of its end waits for ever. An end by force is safe: what was not
    committed is folded again, and the log of alerts guards itself against doing so twice.
    """
    timer = threading.Timer(seconds, _end, (seconds,))
    timer.daemon = True
    timer.start()


def end_now(code: int) -> NoReturn:
    """End this process by force, with this exit code: as safe as when a limit is over, and without Faust's farewell."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


class LimitedWorker(Worker):
    """A worker that may take only so long to stop, be it asked to or crashed.

    Parameters
    ----------
    app
        The Faust application.
    stop_limit_s
        How long.
    settings
        The worker's.
    """

    def __init__(self, app: Any, stop_limit_s: float, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._stop_limit_s = stop_limit_s
        self._limited = False

    async def stop(self) -> None:
        """Stop, or end the process when that takes too long."""
        self._limit(self._stop_limit_s)
        await super().stop()

    def _crash(self, reason: BaseException) -> None:
        # Faust's consumer has a thread of its own, which keeps the process alive, and which a crash may leave behind.
        self._limit(min(self._stop_limit_s, _CRASHED_S))
        super()._crash(reason)

    def _limit(self, seconds: float) -> None:
        if not self._limited:
            self._limited = True
            end_within(seconds)

    def _schedule_shutdown(self, signal: Any) -> None:
        # What crashes from here on is no news to anybody, and told in one line: see execute().
        log_faust_from(logging.CRITICAL)
        super()._schedule_shutdown(signal)

    def execute(self) -> NoReturn:
        """Run until a signal; a crash on the way to the end that it asks for ends as a drain that was cut short does.

        Faust can still be sending when its producer has been stopped, or commit where no transaction has been begun.
        What was not committed is folded again.
        """
        try:
            self.execute_from_commandline()
        except SystemExit as end:
            # Noted by the handler of the signal.
            if not (end.code and self._signal_stop_time):
                raise
            _LOG.error("crashed while it stopped (%r); the next start recovers", self.crash_reason)
            raise SystemExit(os.EX_TEMPFAIL) from end


def _end(seconds: float) -> None:
    _LOG.error("not stopped after %.1f s; ending now, the next start recovers", seconds)
    end_now(os.EX_TEMPFAIL)
