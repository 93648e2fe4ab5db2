"""A look at a pipeline from outside: its servers, found or started, and its log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from riverrun.embedded import open_cluster
from riverrun.embedded.addresses import Addresses
from riverrun.launch.connect import connect
from riverrun.pipeline import load
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.settings import Settings

__all__ = ["Session", "open_session"]


@dataclass(frozen=True, slots=True)
class Session:
    """A connected pipeline."""

    deployment: Deployment
    addresses: Addresses


@contextmanager
def open_session(file: Path, settings: Settings) -> Iterator[Session]:
    """Load a pipeline file and connect it; servers started for it are stopped at the end.

    Raises
    ------
    RiverrunError
        If the file, the settings or the servers do not allow it.
    """
    pipeline = load(file)
    with open_cluster(settings.data_folder) as cluster:
        deployment = connect(pipeline, cluster.addresses, settings)
        try:
            yield Session(deployment, cluster.addresses)
        finally:
            deployment.log.close()
