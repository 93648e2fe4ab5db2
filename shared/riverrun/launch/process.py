"""Runs a worker as a process: signals, the drain limit, and exit codes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from riverrun.errors import RiverrunError, SettingsError, UnavailableError
from riverrun.runtime.worker import Worker

_LOG = logging.getLogger("riverrun.process")
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 69
"""``EX_UNAVAILABLE``: a server or a program is away."""
EXIT_DRAIN_EXCEEDED = 75
"""``EX_TEMPFAIL``: the process ended before it had drained; nothing is lost, the next start recovers."""


def exit_code_of(error: RiverrunError) -> int:
    """Return the exit code by which scripts tell what kind of error ended a process.

    Examples
    --------
    >>> exit_code_of(SettingsError("RIVERRUN_BATCH_LIMIT is 'many'")), exit_code_of(UnavailableError("no Kafka"))
    (2, 69)
    """
    if isinstance(error, SettingsError):
        return EXIT_USAGE
    return EXIT_UNAVAILABLE if isinstance(error, UnavailableError) else EXIT_FAILED


class WorkerThread:
    """Runs a worker beside the main thread, which stays free to serve signals.

    A commit waits as long as the broker takes, in a C call that no signal interrupts: so the worker gets a thread,
    and the main thread can end the process when the drain limit is over. That is safe: whatever was not committed
    will be folded again.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.error: RiverrunError | None = None
        self.exit_code = EXIT_FAILED  # until it ends well: a fault of ours must not pass for a clean end
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="riverrun-worker", daemon=True)

    def _run(self) -> None:
        try:
            self._worker.run()
            self.exit_code = 0
        except RiverrunError as error:
            _LOG.error("%s", error)
            self.error = error
            self.exit_code = exit_code_of(error)
        finally:
            self.ended.set()

    def start(self) -> None:
        """Start the worker."""
        self._thread.start()

    def stop(self, limit_s: float) -> bool:
        """Drain; return whether it was done within the limit."""
        self._worker.stop()
        return self.ended.wait(limit_s)


def run_until_stopped(worker: Worker, drain_limit_s: float, watch: Callable[[float], bool] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code.

    Parameters
    ----------
    worker
        Not yet started.
    drain_limit_s
        How long a drain may take, in seconds.
    watch
        Called about four times a second in the main thread with the seconds to wait (for a display); returning
        True ends the run.
    """
    stopping = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        _LOG.info("%s: draining", signal.Signals(number).name)
        stopping.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    thread = WorkerThread(worker)
    thread.start()
    try:
        while not stopping.is_set() and not thread.ended.is_set():
            if watch is not None and watch(0.25):
                break
            stopping.wait(0.25)
        if not thread.stop(drain_limit_s):
            _LOG.error("not drained after %.1f s; ending now, the next start recovers", drain_limit_s)
            logging.shutdown()
            sys.stdout.flush()
            os._exit(EXIT_DRAIN_EXCEEDED)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return thread.exit_code
