"""``riverrun verify``: the independent audit of everything that a pipeline has written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from riverrun.audit.reading import KafkaLog
from riverrun.audit.report import Check, Tell
from riverrun.audit.stored import RedisEntries
from riverrun.audit.subject import Subject
from riverrun.audit.verify import audit, records_to_read
from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import ERR, OUT, Exit, emit_json, table
from riverrun.embedded.addresses import Addresses
from riverrun.launch.connect import connect
from riverrun.launch.session import open_session
from riverrun.pipeline import load
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.settings import Settings

__all__ = ["verify", "verify_pipeline"]

_JOBS = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 4)


@telling
def verify(
    file: PipelineFile,
    jobs: Annotated[int, typer.Option(help="Processes to use; each takes about 300 MB.", min=1)] = _JOBS,
    json: Json = False,
) -> None:
    """Check every promise from the log and Redis alone, with code that shares nothing with what it judges.

    Every event, dead letter, vector, score, label, example, published model and stored aggregate is computed again. The
    first record that breaks a promise is named, and the exit code is 1. It may be run while the pipeline runs.

    [bold]riverrun verify flight_delay.py --json[/bold]
    """
    settings = Settings.from_environment()
    start = time.monotonic()
    with open_session(file, settings) as session:
        subject = _subject_of(session.deployment, session.addresses)
        with _progress(records_to_read(subject)) as tell:
            checks = verify_pipeline(file, session.addresses, settings, jobs=jobs, tell=tell)
    _show(checks, time.monotonic() - start, json=json)
    raise typer.Exit(Exit.OK if all(check.passed for check in checks) else Exit.FAILED)


def verify_pipeline(file: Path, addresses: Addresses, settings: Settings, *, jobs: int, tell: Tell) -> list[Check]:
    """Audit a pipeline whose servers run; raises as :func:`riverrun.audit.verify.audit` does."""
    opener = partial(_open_subject, file.resolve(), addresses, settings)
    return audit(opener, load(file), jobs=jobs, tell=tell)


def _open_subject(file: Path, addresses: Addresses, settings: Settings) -> Subject:
    deployment = connect(load(file), addresses, settings)
    deployment.log.close()
    return _subject_of(deployment, addresses)


def _subject_of(deployment: Deployment, addresses: Addresses) -> Subject:
    pipeline = deployment.pipeline
    return Subject(
        pipeline=pipeline,
        codecs=deployment.wire.codecs,
        schema_of=deployment.ids.schema_of,
        log=KafkaLog(dict(addresses.kafka)),
        partials=RedisEntries(addresses.redis_url, pipeline.name),
        partitions=deployment.topology.partitions,
    )


@contextmanager
def _progress(total: int) -> Iterator[Tell]:
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=ERR, transient=True) as progress:
        task = progress.add_task("auditing", total=total)
        yield lambda count: progress.advance(task, count)


def _show(checks: Sequence[Check], seconds: float, *, json: bool) -> None:
    faulty = [check for check in checks if not check.passed]
    if json:
        digests = {name: value for check in checks for name, value in check.computed.items()}
        document = {"verified": not faulty, "seconds": round(seconds, 1), "digests": digests}
        emit_json({**document, "checks": [asdict(check) for check in checks]})
        return
    rows = [
        (check.promise, check.name, check.counted, "ok" if check.passed else f"{check.faults:,} wrong", check.seconds)
        for check in checks
    ]
    table("audit", ("promise", "check", "compared", "result", "seconds"), rows)
    for check in checks:
        if check.note:
            OUT.print(f"note: {check.name}: {check.note}", markup=False)
    for check in faulty:
        OUT.print(f"broken: {check.name}: first {check.first}", markup=False)
    OUT.print(f"{len(checks) - len(faulty)} of {len(checks)} checks passed in {seconds:.1f} s", markup=False)
