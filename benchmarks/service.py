"""A member of a pipeline in a process of its own, as ``riverrun run`` would run it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.lab import Lab, stages
from benchmarks.processes import COPIED, FROM_NOTHING
from riverrun.launch.process import run_until_stopped
from riverrun.pipeline import Pipeline
from riverrun.runtime.worker import Worker

Chains = Sequence[Sequence[str]]
MakePipeline = Callable[[str], Pipeline]
_STOP_S = 30.0
_DRAIN_S = 20.0
_LOOK_S = 0.02


def serve(lab: Lab, make: MakePipeline, name: str, chains: Chains) -> None:
    """Run chains of stages until SIGTERM."""
    deployment = lab.connect(make(name))
    run_until_stopped(Worker(deployment, [stages(*chain) for chain in chains]), _DRAIN_S)
    deployment.log.close()


@contextlib.contextmanager
def services(
    lab: Lab, make: MakePipeline, name: str, layouts: Sequence[Chains], *, from_nothing: bool = False
) -> Iterator[list[int]]:
    """Run a process for each of the layouts meanwhile; gives their process ids. They drain at the end, all at once.

    Made ``from_nothing``, they import all that they need themselves.

    Raises
    ------
    RuntimeError
        If one ends with an error.
    """
    context = FROM_NOTHING if from_nothing else COPIED
    processes = [context.Process(target=serve, args=(lab, make, name, chains)) for chains in layouts]
    for process in processes:
        process.start()
    try:
        yield [process.pid or 0 for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(_STOP_S)
            if process.is_alive():
                process.kill()
                process.join()
    for process in processes:
        if process.exitcode:
            raise RuntimeError(f"a service of {name} has ended with exit code {process.exitcode}")


@contextlib.contextmanager
def service(
    lab: Lab, make: MakePipeline, name: str, *chains: Sequence[str], from_nothing: bool = False
) -> Iterator[int]:
    """Run one process with these chains meanwhile; gives its process id. As `services`."""
    with services(lab, make, name, [chains], from_nothing=from_nothing) as (process,):
        yield process


def await_(what: str, done: Callable[[], bool], limit_s: float = 180.0, look_s: float = _LOOK_S) -> None:
    """Wait for something that happens in another process, and look every so many seconds whether it has.

    Raises
    ------
    RuntimeError
        If it does not happen within the limit.
    """
    limit = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > limit:
            raise RuntimeError(f"waited in vain for {what}")
        # It happens in other processes, and they cannot wake us.
        time.sleep(look_s)


def processor_s(pid: int) -> float:
    """Return the processor time that a process has had, of all its threads, in seconds (0 where nobody tells)."""
    file = Path(f"/proc/{pid}/stat")
    try:
        fields = file.read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MiB (0 where the system does not tell)."""
    file = Path(f"/proc/{pid}/status")
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return int(next((line.split()[1] for line in lines if line.startswith("VmRSS:")), "0")) / 1024
