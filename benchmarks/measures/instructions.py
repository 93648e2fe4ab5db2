"""``instructions``: what an event costs in machine instructions, which do not depend on what else the machine does.

The chain runs under valgrind's callgrind, on a log and stores in memory, with all seeds fixed; counting begins after
the first events. The figure is the quotient by what ``benchmarks/instructions.json`` keeps, for compiled inner loops
and for interpreted ones, with the reason why it was kept: a change that adds more than 3 % misses the target until
somebody has written there why it is worth that.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figure, how_it_runs
from benchmarks.in_memory import COUNTING, Saved, schema_ids_in_memory
from benchmarks.lab import Lab
from benchmarks.rounds import isolated
from examples.flights.publish import SEED
from examples.flights.source import flight_messages
from riverrun import __version__

KEPT: Final = Path(__file__).resolve().parents[1] / "instructions.json"
_EVENTS: Final = 1_500
_TOTAL: Final = re.compile(r"Collected\s*:\s*(\d+)")
_LIMIT_S: Final = 1_800.0


def measure(lab: Lab) -> Figure:
    """Measure; without valgrind the figure says so, and nothing else."""
    del lab
    program = shutil.which("valgrind")
    if program is None:
        return Figure("instructions", 0.0, 0.0, short_of="valgrind is not installed, nothing was counted")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flights.pickle"
        isolated(save, file, _EVENTS)
        each = count(program, file, _EVENTS)
    found = _kept()
    kept = int(found.get("per_event", 0))
    details: dict[str, object] = {
        "per_event": round(each),
        "kept_per_event": kept,
        "kept_because": found.get("why", ""),
    }
    if not kept:
        return Figure("instructions", 0.0, 0.0, details=details, short_of="no count is kept to compare with")
    return Figure("instructions", each / kept, 0.0, (each / kept,), details=details)


def keep(figure: Mapping[str, Any], why: str) -> None:
    """Keep a figure, as its file has it, for later ones of its kind to be compared with, and say why."""
    kept = {"per_event": figure["details"]["per_event"], "version": __version__, "why": why}
    KEPT.write_text(json.dumps({**_all_kept(), how_it_runs(): kept}, indent=2) + "\n", encoding="utf-8")


def _kept() -> Mapping[str, Any]:
    found = _all_kept().get(how_it_runs())
    return found if isinstance(found, dict) else {}


def _all_kept() -> dict[str, object]:
    found: object = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else None
    return found if isinstance(found, dict) else {}


def save(file: Path, events: int) -> None:
    """Write the first messages of the year to a file."""
    ids = schema_ids_in_memory()
    messages = [
        (message.topic, message.key, message.value, message.event_time_ms)
        for message in flight_messages(ids, SEED, events)
    ]
    file.write_bytes(pickle.dumps(Saved(ids, messages)))


def count(program: str, file: Path, events: int) -> float:
    """Return the instructions an event, over a run of so many.

    Raises
    ------
    RuntimeError
        If valgrind does not say.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            program,
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/out",
            sys.executable,
        ]
        result = subprocess.run(
            [*command, "-m", "benchmarks.in_memory", str(file), str(events)],
            env={
                **os.environ,
                COUNTING: "1",
                "PYTHONHASHSEED": "0",
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    found = _TOTAL.search(result.stderr)
    if result.returncode or found is None:
        raise RuntimeError(f"valgrind failed: {result.stderr[-500:]}")
    return int(found.group(1)) / int(result.stdout)
