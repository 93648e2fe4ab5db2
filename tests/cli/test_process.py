"""How a process that runs stages ends: by its exit code whoever restarts it tells what happened."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from riverrun.errors import RiverrunError, SettingsError, UnavailableError
from riverrun.launch.process import EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_USAGE, run_until_stopped
from riverrun.launch.service import run_service
from riverrun.runtime.worker import Worker
from services.catalogue import STAGES

LIMIT_S = 30.0


class Scripted(Worker):
    """A worker that ends as it was told: with an error, or when it is stopped."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self._stopped = threading.Event()

    def run(self) -> None:
        if self._error is not None:
            raise self._error
        self._stopped.wait(LIMIT_S)

    def stop(self) -> None:
        self._stopped.set()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RiverrunError("records are missing"), EXIT_FAILED),
        (SettingsError("Redis evicts"), EXIT_USAGE),
        (UnavailableError("no server"), EXIT_UNAVAILABLE),
    ],
    ids=["failed", "settings", "unavailable"],
)
def test_an_error_ends_the_process_with_its_code(error: Exception, code: int, caplog: pytest.LogCaptureFixture) -> None:
    """What no retry can mend is logged and tells its kind by the exit code."""
    assert run_until_stopped(Scripted(error), LIMIT_S) == code
    assert str(error) in caplog.text


def test_a_fault_of_riverruns_own_is_no_clean_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody expected is shown with its trace, and the exit code is 1, not 0."""
    shown: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", shown.append)
    assert run_until_stopped(Scripted(ZeroDivisionError("ours")), LIMIT_S) == EXIT_FAILED
    assert [each.exc_type for each in shown] == [ZeroDivisionError]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_well(number: signal.Signals) -> None:
    """On SIGTERM or Ctrl-C the worker is stopped, the exit code is 0, and handlers are as they were before."""
    before = signal.getsignal(number)

    def watch(wait: float) -> bool:
        del wait
        os.kill(os.getpid(), number)
        return False

    assert run_until_stopped(Scripted(), LIMIT_S, watch) == 0
    assert signal.getsignal(number) is before


def test_a_display_can_end_the_run() -> None:
    """A watcher that says so stops the worker as a signal does."""
    assert run_until_stopped(Scripted(), LIMIT_S, lambda wait: True) == 0


@pytest.mark.parametrize("arguments", [(), ("a.py", "b.py"), ("--help",)])
def test_a_service_shows_its_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """``python -m services.<stage>`` with anything but one file prints how it is called; exit code 2."""
    assert run_service(arguments, STAGES["score"]) == EXIT_USAGE
    assert capsys.readouterr().err == "usage: python -m services.score FILE\n"
