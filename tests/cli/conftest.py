"""Fixtures of the command line's tests: a pipeline of their own on the session's servers, and how to call commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riverrun.embedded import EmbeddedCluster
from tests.cli.commands import Ran, run
from tests.cli.parcels import Parcels

Call = Callable[..., Ran]


@pytest.fixture(scope="session")
def parcels(tmp_path_factory: pytest.TempPathFactory, cluster: EmbeddedCluster) -> Iterator[Parcels]:
    """The pipeline that ``riverrun init`` writes, its events and some broken ones published, run until all is folded.

    Tests share it: they may look, and only the last test of all changes it.
    """
    made = Parcels(tmp_path_factory.mktemp("parcels"), cluster.addresses)
    made.publish()
    made.run_until_ingested(made.messages, "--all")
    yield made
    made.close()


@pytest.fixture
def call(parcels: Parcels) -> Call:
    """Calls a command in this process, on the session's servers."""

    def command(*arguments: object) -> Ran:
        return run(*arguments, environment=parcels.environment)

    return command


@pytest.fixture
def pipeline_file(tmp_path: Path) -> Path:
    """A new pipeline file that nothing has run."""
    ran = run("init", "parcel-late", "--in", tmp_path / "new")
    assert ran.code == 0
    return tmp_path / "new" / "parcel_late.py"
