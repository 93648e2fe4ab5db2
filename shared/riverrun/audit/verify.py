"""Runs the audit: independent tasks, in processes of their own, each reading what it needs."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, wait
from functools import partial
from multiprocessing.queues import SimpleQueue
from typing import Final

from riverrun.audit.intake import audit_intake
from riverrun.audit.learning import audit_models
from riverrun.audit.ledger import audit_ledger
from riverrun.audit.report import Check, Tell
from riverrun.audit.subject import Subject
from riverrun.audit.vectors import audit_vectors
from riverrun.pipeline import Pipeline
from riverrun.records.topics import SINGLE_PARTITION, Kind

__all__ = ["Open", "audit", "audit_here", "records_to_read"]

Open = Callable[[], Subject]
"""Opens what is audited; called once in each process, so it must be picklable."""

_Task = Callable[[Subject, Tell], list[Check]]
_POLL_S: Final = 0.2


def audit(open_subject: Open, pipeline: Pipeline, *, jobs: int, tell: Tell) -> list[Check]:
    """Audit a pipeline in several processes.

    Parameters
    ----------
    open_subject
        Opens the pipeline's log and Redis.
    pipeline
        Its definition.
    jobs
        How many processes; each takes about 300 MB. With 1 it is this one.
    tell
        Told how many more records were read.

    Returns
    -------
    list of Check
        Everything that was checked, in the order of the promises.

    Raises
    ------
    UnavailableError
        If a server does not answer.
    """
    if jobs == 1:
        return audit_here(open_subject(), tell)
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    with ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(open_subject, queue)) as pool:
        futures = [pool.submit(_run, task) for task in _tasks(pipeline)]
        unfinished = set(futures)
        try:
            while unfinished:
                unfinished = wait(unfinished, _POLL_S).not_done
                _drain(queue, tell)
            _drain(queue, tell)
            return _sorted(future.result() for future in futures)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def audit_here(subject: Subject, tell: Tell) -> list[Check]:
    """Audit a pipeline in this process, one task after the other; raises as `audit` does."""
    return _sorted(_timed(task, subject, tell) for task in _tasks(subject.pipeline))


def records_to_read(subject: Subject) -> int:
    """Return about how many records all tasks together will read."""
    times = {Kind.EVENTS: 3, Kind.VECTORS: 2, Kind.PREDICTIONS: 2, Kind.EXAMPLES: 3, Kind.DEAD_LETTERS: 1}
    total = 0
    for kind, count in times.items():
        for partition in range(1 if kind in SINGLE_PARTITION else subject.partitions):
            first, end = subject.log.bounds(subject.topic(kind), partition)
            total += count * (end - first)
    return total


def _tasks(pipeline: Pipeline) -> list[_Task]:
    """Return the tasks, the longest first."""
    champion, *challengers = [model.name for model in pipeline.models]
    others = [partial(_models, tuple(challengers))] if challengers else []
    return [partial(_models, (champion,)), audit_vectors, *others, audit_ledger, audit_intake]


def _models(names: tuple[str, ...], subject: Subject, tell: Tell) -> list[Check]:
    return audit_models(subject, names, tell)


class _Process:
    """What one worker process works with."""

    subject: Subject | None = None
    queue: SimpleQueue[int] | None = None


def _start(open_subject: Open, queue: SimpleQueue[int]) -> None:
    # Millions of small objects without cycles: the collector's default would look through them all the time.
    gc.set_threshold(100_000, 20, 50)
    _Process.subject, _Process.queue = open_subject(), queue


def _run(task: _Task) -> list[Check]:
    subject, queue = _Process.subject, _Process.queue
    if subject is None or queue is None:
        raise RuntimeError("the process was not started by the audit")
    return _timed(task, subject, queue.put)


def _timed(task: _Task, subject: Subject, tell: Tell) -> list[Check]:
    start = time.monotonic()
    checks = task(subject, tell)
    for check in checks:
        check.seconds = time.monotonic() - start
    return checks


def _drain(queue: SimpleQueue[int], tell: Tell) -> None:
    while not queue.empty():
        tell(queue.get())


def _sorted(found: Iterable[list[Check]]) -> list[Check]:
    return sorted((check for checks in found for check in checks), key=lambda check: check.promise)
