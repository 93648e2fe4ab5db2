"""Reads a worker: all its metrics at one moment, computed from what its tasks keep anyway."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from riverrun.models.followed import USED
from riverrun.records.items import Progress
from riverrun.runtime import metrics
from riverrun.runtime.degradations import Degradation
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.meter import Sample
from riverrun.runtime.task import Task
from riverrun.runtime.worker import Worker

__all__ = ["collect", "in_order", "of_process"]

_DEAD: Final = "dead:"
"""With a reason behind it, the name of a count of dead letters."""

_STATM: Final = Path("/proc/self/statm")


def collect(worker: Worker, deployment: Deployment) -> list[Sample]:
    """Return every series, in the order of `metrics.METRICS`. Called by any thread, while the worker works.

    Parameters
    ----------
    worker
        Whose tasks are read.
    deployment
        Whose observer they report to.
    """
    samples = deployment.observer.meter.read()
    now_ms = deployment.clocks.wall() * 1000
    for task in worker.tasks():
        samples.extend(_of_task(task, now_ms))
    for chain, partitions in worker.partitions().items():
        samples.append(Sample(metrics.PARTITIONS, (chain,), float(len(partitions))))
    wrong = {condition.what for condition in deployment.observer.conditions.current()}
    samples.extend(Sample(metrics.DEGRADED, (what.value,), float(what in wrong)) for what in Degradation)
    samples.extend(of_process())
    return in_order(samples)


def in_order(samples: Iterable[Sample]) -> list[Sample]:
    """Return series in the order of `metrics.METRICS`: all of a metric's in a row, as those who write them need it."""
    order = {metric: number for number, metric in enumerate(metrics.METRICS)}
    return sorted(samples, key=lambda sample: (order[sample.metric], sample.labels))


def _of_task(task: Task, now_ms: float) -> Iterator[Sample]:
    instruments = task.instruments
    place = (instruments.chain, str(task.partition))
    yield Sample(metrics.LAG, place, float(instruments.lag))
    yield Sample(metrics.STATE_AGE, place, instruments.state_age_s())
    yield Sample(metrics.CLOCK_AHEAD, place, instruments.clock_ahead)
    for progress in instruments.progress:
        yield from _of_stage(progress, now_ms)
    for model, version in task.models().items():
        yield Sample(metrics.MODEL_VERSION, (model, str(task.partition)), float(version))


def _of_stage(progress: Progress, now_ms: float) -> Iterator[Sample]:
    stage, partition = progress.stage, str(progress.partition)
    folded = sum(place.next for place in progress.inputs)
    yield Sample(metrics.RECORDS_IN, (stage, partition), float(folded))
    for topic, written in progress.outputs.items():
        yield Sample(metrics.RECORDS_OUT, (stage, partition, topic), float(written))
    for name, count in progress.counters.items():
        if name.startswith(_DEAD):
            yield Sample(metrics.DEAD_LETTERS, (partition, name.removeprefix(_DEAD)), float(count))
        elif not name.startswith(USED):
            # Which versions are in use has a gauge of its own.
            yield Sample(metrics.FOLDED, (stage, partition, name), float(count))
    if progress.watermark:
        delay = max(0.0, now_ms - progress.watermark) / 1000
        yield Sample(metrics.WATERMARK_DELAY, (stage, partition), delay)


def of_process() -> Iterator[Sample]:
    """Return what is measured of the process itself."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield Sample(metrics.CPU_SECONDS, (), used.ru_utime + used.ru_stime)
    try:
        resident = int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:
        # No Linux: the most that it ever was has to do.
        resident = used.ru_maxrss
    yield Sample(metrics.MEMORY, (), float(resident))
