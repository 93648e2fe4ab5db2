"""Runs stages of a pipeline file as a process: what every service's ``__main__`` calls."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from riverrun.embedded import open_cluster
from riverrun.embedded.addresses import Addresses
from riverrun.embedded.keeper import Keeper
from riverrun.errors import RiverrunError, SettingsError
from riverrun.launch.chains import cut_chains
from riverrun.launch.companion import Companion
from riverrun.launch.connect import connect
from riverrun.launch.process import EXIT_USAGE, exit_code_of, run_until_stopped
from riverrun.launch.telemetry import Telemetry
from riverrun.pipeline import load
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.observer import Observer
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.worker import Worker

__all__ = ["run_beside", "run_service", "run_stages"]

_PATIENCE_S = 15.0
"""A broker that is just being started again may take so long; later on, any outage is waited out."""

_TAIL_TIMEOUT_S = 2.0
"""A stage that is opened waits no longer for a transaction that another has left open: the other may be one of this
process, and be opened after it."""


def run_stages(
    file: Path,
    stages: Sequence[StageDefinition],
    settings: Settings,
    *,
    chained: bool = True,
    watch: Callable[[Worker], Callable[[float], bool]] | None = None,
    companions: Sequence[Companion] = (),
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
    companions
        Processes to run beside them, on the same servers.

    Raises
    ------
    RiverrunError
        If the pipeline, the settings or the servers do not allow it.
    """
    pipeline = load(file)
    if not any(stage.wanted(pipeline) for stage in stages):
        raise SettingsError(
            f"{file} has nothing for {' and '.join(stage.name for stage in stages)} to do",
            hint="drift is watched where the pipeline says drift=Drift()",
        )
    telemetry = Telemetry(pipeline.name, [stage.name for stage in stages])
    with open_cluster(settings.data_folder) as cluster:
        connected = connect(
            pipeline, cluster.addresses, settings, patience_s=_PATIENCE_S, tail_timeout_s=_TAIL_TIMEOUT_S
        )
        deployment = replace(connected, observer=Observer(tracing=telemetry.tracing))
        chains = cut_chains(stages, deployment.topology.partitions, chained=chained)
        worker = Worker(deployment, chains)
        display = watch(worker) if watch is not None else None
        keeper = Keeper(cluster)

        def look(wait: float) -> bool:
            keeper.look()
            for companion in companions:
                companion.look()
            return display is not None and display(wait)

        with telemetry.watching(worker, deployment), ExitStack() as beside:
            for companion in companions:
                beside.enter_context(companion)
            return run_until_stopped(worker, settings.drain_limit_ms / 1000, look)


def run_service(arguments: Sequence[str], *stages: StageDefinition) -> int:
    """Run a service's stages, most have one, from the command line: ``FILE``; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(f"usage: python -m services.{stages[0].name.partition('-')[0]} FILE\n")
        return EXIT_USAGE
    try:
        return run_stages(Path(arguments[0]), stages, Settings.from_environment())
    except RiverrunError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code_of(error)


def run_beside(arguments: Sequence[str], name: str, run: Callable[[Deployment, Addresses], int]) -> int:
    """Run a service that is no stage from the command line: ``FILE``; return the exit code.

    Parameters
    ----------
    arguments
        Of the command line.
    name
        The service's.
    run
        Runs it on a connected pipeline until a signal.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(f"usage: python -m services.{name} FILE\n")
        return EXIT_USAGE
    try:
        settings = Settings.from_environment()
        pipeline = load(Path(arguments[0]))
        observer = Observer()
        telemetry = Telemetry(pipeline.name, [name])
        with open_cluster(settings.data_folder) as cluster, telemetry.living(observer.meter.read):
            connected = connect(pipeline, cluster.addresses, settings, patience_s=_PATIENCE_S)
            return run(replace(connected, observer=observer), cluster.addresses)
    except RiverrunError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code_of(error)
