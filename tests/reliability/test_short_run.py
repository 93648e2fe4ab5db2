"""The short form of the run that ``make chaos`` makes: real processes and servers die, and nothing comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.act import Act, play
from chaos.findings import Finding
from chaos.layouts import LAYOUTS, Layout, Setting
from chaos.scene import Kind
from chaos.services import STAGES

# Each takes some 20 s in quiet, several times that beside other work. Nothing here is held to a time.
pytestmark = pytest.mark.timeout(900)


def _layout(name: str) -> Layout:
    return next(layout for layout in LAYOUTS if layout.name == name)


def _kind(name: str) -> Kind:
    return next(kind for layout in LAYOUTS for kind in layout.kinds if kind.name == name)


def _wrong(findings: list[Finding]) -> str:
    return "\n".join(finding.text for finding in findings)


_ACTS = {
    # Compared with an undisturbed run: every score, every digest.
    "chained": ("failpoint.after-commit", "redis.wiped", "kill.chain"),
    "members": ("zombie",),
    "edges": ("kill.alerts", "kill.drift", "alerts.receiver-deaf", "kill.gateway"),
    # Every service dies once by itself, then all of them at once.
    "apart": ("kafka.killed", *(f"kill.{stage}" for stage in STAGES), "kill.all"),
}


@pytest.mark.parametrize("name", _ACTS)
def test_nothing_comes_of_it(name: str, tmp_path: Path) -> None:
    """Nothing is lost, doubled, out of order or wrong; every stage goes on after each fault."""
    act = Act(_layout(name), tuple((_kind(kind),) for kind in _ACTS[name]))
    outcome = play(act, Setting("short", tmp_path, seed=11), lambda line: None)
    assert not outcome.findings, _wrong(outcome.findings)
    assert [strike.kind for strike in outcome.strikes] == list(_ACTS[name])
    assert all(strike.recovery_s is not None for strike in outcome.strikes)
    assert outcome.published > 100
    assert outcome.predictions > 30
    assert outcome.looks > 1
