"""The demo as a user runs it, on a few days of flights: every figure there and right, and every promise kept."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from examples.flights.children import RIVERRUN
from examples.flights.publish import SEED
from examples.flights.source import expected_counts

EVENTS = 8_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``riverrun demo --events 8000`` leaves behind, on servers of its own."""
    path = tmp_path_factory.mktemp("demo")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RIVERRUN_")}
    result = subprocess.run(
        [*RIVERRUN, "demo", "--events", str(EVENTS), "--in", str(path), "--json"],
        env={**environment, **{k: v for k, v in os.environ.items() if k == "RIVERRUN_CACHE"}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2_000:] + result.stdout[-2_000:]
    assert json.loads(result.stdout) == json.loads((path / "demo.json").read_text(encoding="utf-8"))
    return path


@pytest.mark.timeout(300)
def test_every_message_is_accounted_for(folder: Path) -> None:
    """Messages = accepted + duplicates + dead letters, and the dead letters are those that were spoiled on purpose."""
    found = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    kinds: Counter[str] = Counter()
    for (_, kind), count in expected_counts(SEED, EVENTS).items():
        kinds[kind] += count
    assert found["events"] == EVENTS
    assert found["accepted"] == kinds["good"] + kinds["displaced"]
    assert found["duplicates"] == kinds["duplicate"]
    assert sum(found["dead_letters"].values()) == EVENTS - found["accepted"] - found["duplicates"]
    assert len(found["dead_letters"]) >= 8


@pytest.mark.timeout(300)
def test_alerts_are_told_and_delivered(folder: Path) -> None:
    """A model that has just begun ranks badly, which is told; the webhook's receiver verified every alert."""
    found = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    assert {alert["rule"] for alert in found["alerts"]} >= {"ranking", "likelihood"}
    assert found["alerts_delivered"] == len(found["alerts"])
    assert found["alerts_refused"] == 0


@pytest.mark.timeout(300)
def test_the_ledger_balances_and_all_promises_held(folder: Path) -> None:
    """Each prediction has ended once or is pending; the auditor found nothing."""
    found = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    ends = found["labelled"] + found["defaulted"] + found["expired"] + found["pending"]
    assert found["predictions"] == ends > 0
    assert found["verified"] is True
    assert len(found["model_digest"]) == 64
    assert set(found["models"]) == {"binned-crosses", "scaled-logistic", "hoeffding-tree"}
    assert found["latency_ms"].keys() == {"p50", "p99"}
    assert (folder / "demo.png").stat().st_size > 10_000
