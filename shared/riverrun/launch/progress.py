"""How far a worker has come, as JSON lines: what a program that started it reads."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import orjson

from riverrun.runtime.worker import Worker

__all__ = ["json_lines", "progress_of"]


def progress_of(worker: Worker) -> dict[str, object]:
    """Return what a worker has folded, how quickly, and what troubles it."""
    tasks = worker.tasks()
    latency = [value for task in tasks if (value := task.latency.percentiles())]
    return {
        "partitions": sorted({task.partition for task in tasks}),
        "records": sum(task.folded for task in tasks),
        "latency_ms": {name: max(each[name] for each in latency) for name in ("p50", "p99")} if latency else {},
        "trouble": worker.trouble,
    }


def json_lines(worker: Worker) -> Callable[[float], bool]:
    """Return what to call again and again, to print one line a second to standard output."""
    last = 0.0

    def show(wait: float) -> bool:
        nonlocal last
        del wait
        now = time.monotonic()
        if now - last >= 1.0:
            last = now
            sys.stdout.write(orjson.dumps(progress_of(worker)).decode() + "\n")
            sys.stdout.flush()
        return False

    return show
