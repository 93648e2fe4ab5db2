"""A service that hangs while it stops is ended, and one that does not ends as it would."""

from __future__ import annotations

import subprocess
import sys

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
