"""A member of a pipeline in a process of its own, as ``riverrun run`` would run it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.lab import Lab, stages
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
def service(lab: Lab, make: MakePipeline, name: str, *chains: Sequence[str]) -> Iterator[int]:
    """Run one process with these chains meanwhile; gives its process id. It is drained at the end.

    Raises
    ------
    RuntimeError
        If it ends with an error.
    """
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(lab, make, name, chains))
    process.start()
    try:
        yield process.pid or 0
    finally:
        process.terminate()
        process.join(_STOP_S)
        if process.is_alive():
            process.kill()
            process.join()
    if process.exitcode:
        raise RuntimeError(f"the service {name} has ended with exit code {process.exitcode}")


def stop_together(processes: Iterable[int]) -> None:
    """Ask processes to stop, all at once, so that each need not wait for the one before it has drained."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


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
