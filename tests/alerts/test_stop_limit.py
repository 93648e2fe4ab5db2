"""A service that hangs or crashes while it stops is ended as one cut short, and one that does not ends as it would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from riverrun.launch.process import EXIT_DRAIN_EXCEEDED

BEGIN = "import logging, threading; logging.basicConfig(); from services.alerts.stop_limit import end_within; "


def _run(code: str) -> tuple[int, str]:
    command = [sys.executable, "-c", BEGIN + code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stderr


def test_one_that_hangs_is_ended() -> None:
    """It says so, and its exit code says that nothing is lost."""
    code, words = _run("end_within(0.05); threading.Event().wait()")
    assert code == EXIT_DRAIN_EXCEEDED
    assert "not stopped after" in words


def test_one_that_stops_in_time_is_left_alone() -> None:
    """The limit keeps no process alive."""
    assert _run("end_within(3600.0)") == (0, "")


CRASHING = """
import faust, os, signal
from services.alerts.stop_limit import LimitedWorker
class Idle(faust.App):
    async def start(self): pass
    async def stop(self): pass
class Stopping(LimitedWorker):
    async def on_started(self):
        {when}
    async def stop(self):
        await self.crash(RuntimeError("Cannot flush: Producer not Running"))
        await super().stop()
{before}
app = Idle("test", broker="kafka://nowhere", store="memory://", web_enabled=False, datadir={folder!r})
Stopping(app, {limit_s}, redirect_stdouts=False, override_logging=False).execute()
"""


@pytest.mark.parametrize(
    ("when", "code"),
    [("os.kill(os.getpid(), signal.SIGTERM)", EXIT_DRAIN_EXCEEDED), ("await self.crash(RuntimeError())", 1)],
    ids=["asked to stop", "by itself"],
)
def test_a_crash_while_stopping_is_a_drain_cut_short(tmp_path: Path, when: str, code: int) -> None:
    """It has lost nothing, and is no reason to call anybody, nor for a stack trace; a crash at work is for both."""
    ended, words = _run(CRASHING.format(folder=str(tmp_path), when=when, before="", limit_s=30.0))
    assert ended == code, words
    stopped = code == EXIT_DRAIN_EXCEEDED
    assert ("crashed while it stopped" in words) == stopped, words
    assert ("stopped (RuntimeError('Cannot flush" in words) == stopped, words
    assert ("Crashed reason=" in words) != stopped, words


@pytest.mark.parametrize("when", ["os.kill(os.getpid(), signal.SIGTERM)", "await self.crash(RuntimeError())"])
def test_a_crash_that_leaves_a_thread_behind_ends_too(tmp_path: Path, when: str) -> None:
    """As Faust's consumer does that could not be stopped: nobody waits for it longer than the limit."""
    before = "import threading; threading.Thread(target=threading.Event().wait).start()"
    ended, words = _run(CRASHING.format(folder=str(tmp_path), when=when, before=before, limit_s=2.0))
    assert ended == EXIT_DRAIN_EXCEEDED, words
    assert "not stopped after 2.0 s" in words


LEFT_BEHIND = """
import runpy, threading
import riverrun.launch.service as service
def run_beside(arguments, name, run):
    threading.Thread(target=threading.Event().wait).start()
    return 7
service.run_beside = run_beside
runpy.run_module("services.alerts", run_name="__main__")
"""


def test_a_thread_that_is_left_behind_keeps_no_process_alive() -> None:
    """Faust's consumer has one, and stays in its group by it: a fenced member kept the signals for 18 s."""
    assert _run(LEFT_BEHIND) == (7, "")
