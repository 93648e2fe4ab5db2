"""What is compiled writes what its source writes: members of one group may be of either kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measures.instructions import save
from riverrun.features import panes

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "build" / "native"
EVENTS = 1_500

# Where something is to be compiled, that nothing is would be a failure.
pytestmark = pytest.mark.skipif(
    Path(panes.__file__).suffix == ".py" and "EXPECT_COMPILED" not in os.environ,
    reason="nothing is compiled here: `make test-native` runs this",
)


def fold(first: Path, file: Path) -> dict[str, Any]:
    """Fold the flights in a process of its own that finds the packages in a folder first."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.native.fold_flights", str(file), str(EVENTS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(first), str(ROOT))), "PYTHONHASHSEED": "0"},
        cwd=ROOT / "build",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_compiled_or_not_the_same_bytes_are_written(tmp_path: Path) -> None:
    """Events, vectors, predictions, examples, models, positions: every topic of the flights example, bit for bit."""
    file = tmp_path / "flights.pickle"
    save(file, EVENTS)
    compiled, interpreted = fold(NATIVE, file), fold(ROOT / "shared", file)
    assert (compiled["compiled"], interpreted["compiled"]) == (True, False)
    assert len(interpreted["digests"]) > 5
    assert compiled["digests"] == interpreted["digests"]
