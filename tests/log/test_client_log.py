"""The client's log lines: an outage is seen, and is not all that is seen."""

from __future__ import annotations

import logging

import pytest

from riverrun.adapters.kafka_connection import ClientLog

_FORMAT = "%s [%s] %s"


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_what_a_client_says_again_and_again_is_passed_on_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same line of thousands of attempts is a warning once in half a minute; another one at once."""
    now = [100.0]
    monkeypatch.setattr("riverrun.adapters.kafka_connection.time.monotonic", lambda: now[0])
    lines = ClientLog()
    with caplog.at_level(logging.DEBUG, "riverrun.kafka"):
        for number in range(1_000):
            lines.log(logging.WARNING, _FORMAT, "GETPID", f"client-{number % 3}", "not yet: retrying")
        lines.log(logging.WARNING, _FORMAT, "GETPID", "client-1", "something else")
        now[0] += 31.0
        lines.log(logging.WARNING, _FORMAT, "GETPID", "client-1", "something else")
    assert [line.rpartition("] ")[2] for line in _warnings(caplog)] == [
        "not yet: retrying",
        "something else",
        "something else",
    ]
    assert len(caplog.records) == 1_002, "the others are for debugging"
