"""The checker is checked: every bug planted on purpose must be noticed, or the judge is no judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.planted import MOST_SEEDS, catch
from riverrun.testing.simulation.__main__ import main
from riverrun.testing.simulation.script import make_script
from riverrun.testing.simulation.trial import first_failure, shrink, try_script
from tests.simulation.bugs import (
    BUGS,
    FOUND,
    Plant,
    drift_restored_one_record_short,
    drift_told_again,
    label_used_twice,
)


@pytest.mark.parametrize("plant", [pytest.param(plant, id=plant.__name__) for plant in (*BUGS, *FOUND)])
def test_a_planted_bug_is_caught(plant: Plant, tmp_path: Path) -> None:
    """Without this care of the runtime some seed goes wrong, and the judge says so."""
    failure = catch(plant, tmp_path)
    assert failure is not None, f"{MOST_SEEDS} seeds did not show it: {plant.__doc__}"
    assert f"--seed {failure.seed}" in str(failure)
    # A plant that no longer fits the code it changes breaks at once: that would be caught for the wrong reason.
    assert not failure.broke_down


@pytest.mark.parametrize("plant", [drift_restored_one_record_short, drift_told_again])
def test_a_bug_of_drift_shows_in_what_is_found(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only in the state that is stored, which is compared too: findings are missing, others, or there twice."""
    plant(monkeypatch)
    scripts = (script for script in map(make_script, range(MOST_SEEDS)) if script.watched)
    wrongs = (wrong for script in scripts for wrong in try_script(script, tmp_path))
    assert any(wrong.startswith("drift-") and ", undisturbed " in wrong for wrong in wrongs)


def test_a_failing_script_is_shrunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of it still fails, and no single part of it could be left out."""
    label_used_twice(monkeypatch)
    failure = first_failure(range(MOST_SEEDS), tmp_path)
    assert failure is not None
    script = make_script(failure.seed)
    small = shrink(script, tmp_path)
    assert try_script(small, tmp_path)
    assert len(small.actions) < len(script.actions) / 3
    for at in range(len(small.actions)):
        fewer = replace(small, actions=small.actions[:at] + small.actions[at + 1 :])
        assert not try_script(fewer, tmp_path)


def test_the_command_shows_the_shrunk_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a failing seed the command prints what is wrong, the actions that are needed for it, and fails."""
    label_used_twice(monkeypatch)
    assert main(["--seed", "0", "--count", "50"]) == 1
    out = capsys.readouterr().out
    assert "again, and shrunk: python -m riverrun.testing.simulation --seed" in out
    assert "publish" in out
    assert "wrong: the predictions of partition" in out
