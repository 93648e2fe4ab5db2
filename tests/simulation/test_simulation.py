"""A thousand seeds of everything at once: nothing lost, nothing twice, nothing wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from riverrun.testing.simulation.__main__ import main
from riverrun.testing.simulation.play import Play
from riverrun.testing.simulation.script import make_script

_SEEDS = 1_000


@pytest.mark.timeout(400)
def test_a_thousand_seeds() -> None:
    """Members come, go, crash, freeze and come back, stores and log fail, transactions are torn, stages move between
    chains; and in the end the judge finds nothing wrong. A failing seed is printed, shrunk, with how to repeat it.
    """
    shares = min(4, os.cpu_count() or 1)
    count = -(-_SEEDS // shares)
    command = [sys.executable, "-m", "riverrun.testing.simulation", "--count", str(count), "--seed"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen(
            [*command, str(share * count)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        for share in range(shares)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * shares, "\n".join(said)


def test_a_seed_always_does_the_same(tmp_path: Path) -> None:
    """Two runs of a seed leave the same log, byte for byte, record by record."""
    for seed in (3, 4):
        logs = []
        for _ in range(2):
            play = Play(make_script(seed), tmp_path)
            play.run()
            topology = play.small.topology
            places = [(spec.name, number) for spec in topology.specs() for number in range(spec.partitions)]
            logs.append({place: play.log.records(*place) for place in places})
            play.close()
        assert logs[0] == logs[1]


def test_scripts_differ() -> None:
    """Seeds make different scripts, of every kind of action, on one partition and on several."""
    scripts = [make_script(seed) for seed in range(60)]
    assert len({script.actions for script in scripts}) == 60
    assert {script.partitions for script in scripts} == {1, 2}
    kinds = {action.kind for script in scripts for action in script.actions}
    assert kinds == {
        *("publish", "tear", "round", "advance", "kill", "freeze", "start", "stop", "hold", "release"),
        *("fail", "wipe", "lose", "store", "layout"),
    }


def test_the_command_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    """The command that reproduces a seed says so when nothing is wrong with it."""
    assert main(["--seed", "5", "--count", "3"]) == 0
    assert "nothing lost" in capsys.readouterr().out
