"""Runs stages of a pipeline file as a process: what every service's ``__main__`` calls."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from riverrun.embedded import open_cluster
from riverrun.embedded.keeper import Keeper
from riverrun.errors import RiverrunError
from riverrun.launch.chains import cut_chains
from riverrun.launch.connect import connect
from riverrun.launch.process import EXIT_USAGE, exit_code_of, run_until_stopped
from riverrun.pipeline import load
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.worker import Worker

__all__ = ["run_service", "run_stages"]

_PATIENCE_S = 15.0
"""A broker that is just being started again may take so long; later on, any outage is waited out."""


def run_stages(
    file: Path,
    stages: Sequence[StageDefinition],
    settings: Settings,
    *,
    chained: bool = True,
    watch: Callable[[Worker], Callable[[float], bool]] | None = None,
) -> int:
    """Run stages of a pipeline file until a signal; return the exit code.

    Parameters
    ----------
    file
        The pipeline file.
    stages
        In the pipeline's order.
    settings
        Of the runtime.
    chained
        False to put the log between all of them.
    watch
        Given the worker, returns what `run_until_stopped` calls to show progress.

    Raises
    ------
    RiverrunError
        If the pipeline, the settings or the servers do not allow it.
    """
    pipeline = load(file)
    with open_cluster(settings.data_folder) as cluster:
        deployment = connect(pipeline, cluster.addresses, settings, patience_s=_PATIENCE_S)
        chains = cut_chains(stages, deployment.topology.partitions, chained=chained)
        worker = Worker(deployment, chains)
        display = watch(worker) if watch is not None else None
        keeper = Keeper(cluster)

        def look(wait: float) -> bool:
            keeper.look()
            return display is not None and display(wait)

        return run_until_stopped(worker, settings.drain_limit_ms / 1000, look)


def run_service(arguments: Sequence[str], stage: StageDefinition) -> int:
    """Run one stage from the command line: ``FILE``; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(f"usage: python -m services.{stage.name} FILE\n")
        return EXIT_USAGE
    try:
        return run_stages(Path(arguments[0]), [stage], Settings.from_environment())
    except RiverrunError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code_of(error)
