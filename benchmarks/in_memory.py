"""The chain on a log and stores in memory, over the first flights: the same instructions every time.

``python -m benchmarks.in_memory FILE EVENTS`` runs it once; callgrind counts. The file holds what `save` made: to read
the year takes more instructions than to fold it.
"""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.lab import FIVE_STAGES, stages
from riverrun.runtime.deployment import Clocks, Deployment
from riverrun.runtime.ports import Headers
from riverrun.runtime.settings import Settings
from riverrun.runtime.worker import Worker
from riverrun.testing.key_value import MemoryKeyValueStore
from riverrun.testing.memory_log import MemoryLog
from riverrun.testing.partial_store import MemoryPartialStore
from riverrun.testing.small_world import SmallWorld, make_codecs

COUNTING: Final = "BENCHMARKS_CALLGRIND"
"""Set where callgrind runs this and has not begun to count."""
_TICK_S: Final = 0.001
_STATE_INTERVAL_MS: Final = 50
_BATCH: Final = 100
_WARM: Final = 500
_PATIENCE: Final = 10_000


class _Ticking:
    """A clock that moves by a little whenever it is read: batches and flushes fall where they always do."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += _TICK_S
        return self._now


@dataclass(frozen=True, slots=True)
class Saved:
    """Messages, and the schema ids in them."""

    ids: dict[str, int]
    messages: list[tuple[str, bytes | None, bytes, int]]


def schema_ids_in_memory() -> dict[str, int]:
    """Return the schema id by topic that the flights are written with."""
    pipeline = flights_pipeline("in-memory")
    codecs = make_codecs(pipeline)[1]
    return {stream.topic: codecs.stream_id(stream.name) for stream in codecs.streams}


def run(
    saved: Saved,
    events: int,
    folder: Path,
    watched: Callable[[Deployment], AbstractContextManager[Deployment]] = nullcontext,
    headers: Headers = (),
) -> int:
    """Fold so many messages; return how many were folded.

    ``watched`` puts on the deployment what shall watch it; ``headers`` are those of each message.
    """
    pipeline = flights_pipeline("in-memory")
    log = MemoryLog()
    settings = Settings(data_folder=folder, batch_limit=_BATCH, state_interval_ms=_STATE_INTERVAL_MS)
    world = SmallWorld(pipeline, make_codecs(pipeline), 1, log, settings)
    ids = {stream.topic: world.codecs.stream_id(stream.name) for stream in world.codecs.streams}
    if ids != saved.ids:
        raise RuntimeError(f"the file's schema ids are {saved.ids}, the pipeline's are {ids}: make it anew")
    for topic, key, value, timestamp in saved.messages[:events]:
        log.append(topic, 0, value, key=key, headers=headers, timestamp=timestamp)
    partials = MemoryPartialStore()
    clock = _Ticking()
    deployment = world.deployment(
        lambda: partials, lambda _: MemoryKeyValueStore(), clocks=Clocks(monotonic=clock, wall=clock)
    )
    with watched(deployment) as observed:
        gc.collect()
        gc.freeze()
        worker = Worker(observed, [stages(*FIVE_STAGES)])
        worker.join()
        _fold(worker, _WARM)
        _count("on")
        folded = _fold(worker, events)
        _count("off")
    return folded


def _fold(worker: Worker, wanted: int) -> int:
    """Fold until so many messages are done; return how many are."""
    folded, idle = 0, 0
    # The merge waits for a while, on this clock, before it goes on without an input that is empty.
    while folded < wanted:
        idle = 0 if worker.round() else idle + 1
        folded = sum(task.folded for task in worker.tasks())
        if idle > _PATIENCE:
            raise RuntimeError(f"stalled after {folded} events")
    return folded


def _count(switch: str) -> None:
    """Let callgrind, if this process runs under it, begin or end counting; it is told from outside."""
    control = shutil.which("callgrind_control")
    if control is not None and COUNTING in os.environ:
        subprocess.run([control, "--instr=" + switch, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)


def main(arguments: Sequence[str]) -> int:
    """Run once."""
    with tempfile.TemporaryDirectory() as folder:
        saved: Saved = pickle.loads(Path(arguments[0]).read_bytes())
        print(run(saved, int(arguments[1]), Path(folder)) - _WARM)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
