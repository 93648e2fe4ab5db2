"""A process beside the stages: kept running, and ended with them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from riverrun.errors import SettingsError
from riverrun.launch import companion
from riverrun.launch.companion import Companion, companions_of
from tests.alerts.made import pipeline_file


def until(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        threading.Event().wait(0.02)


def has(output: Path, text: str, times: int) -> Callable[[], bool]:
    """Return what tells whether a file has a text so many times."""
    return lambda: output.exists() and output.read_text().count(text) == times


def test_a_companion_that_ends_is_started_again_later_each_time(tmp_path: Path) -> None:
    """After one second, then two; not before."""
    output, now = tmp_path / "out", [0.0]
    process = Companion("it", [sys.executable, "-c", "print('up')"], output, lambda: now[0])
    with process:
        for wait in (1.0, 2.0):
            until(lambda: not process.running)
            process.look()
            started = output.read_text().count("up")
            now[0] += wait - 0.1
            process.look()
            assert output.read_text().count("up") == started
            now[0] += 0.2
            process.look()
            until(has(output, "up", started + 1))


def test_a_companion_is_ended_with_the_stages(tmp_path: Path) -> None:
    """In order, by SIGTERM."""
    ready = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')))"
    output = tmp_path / "out"
    process = Companion("it", [sys.executable, "-c", f"{ready}; print('up', flush=True); time.sleep(99)"], output)
    with process:
        until(has(output, "up", 1))
    assert not process.running
    assert output.read_text().split() == ["up", "bye"]


def test_a_pipeline_with_alerts_needs_what_tells_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before anything starts; a pipeline without alerts needs nothing."""
    file = pipeline_file(tmp_path, "watched")
    assert [each.name for each in companions_of(file, tmp_path)] == ["the alerts service"]

    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(companion, "version", absent)
    with pytest.raises(SettingsError, match=r"riverrun\[alerts\]"):
        companions_of(file, tmp_path)
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.index("    alerts=[")] + ")\n", encoding="utf-8")
    assert companions_of(file, tmp_path) == []
