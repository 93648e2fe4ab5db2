"""Fixtures of the runtime's tests: worlds, each with topics of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from riverrun.pipeline import Pipeline
from riverrun.testing.small_pipeline import make_pipeline
from tests.runtime.worlds import MemoryWorld

_NUMBERS = itertools.count()


@pytest.fixture
def pipeline() -> Pipeline:
    """The small pipeline under a name that no other test uses; names have one length, so that bytes compare."""
    return make_pipeline(f"runtime-{next(_NUMBERS):04d}")


@pytest.fixture
def memory(tmp_path: Path, pipeline: Pipeline) -> MemoryWorld:
    """A world in memory, with one partition."""
    return MemoryWorld(tmp_path, pipeline)


@pytest.fixture
def make_memory(tmp_path: Path, pipeline: Pipeline) -> Callable[..., MemoryWorld]:
    """Makes worlds in memory, all of the same pipeline."""

    def make(partitions: int = 1) -> MemoryWorld:
        return MemoryWorld(tmp_path, pipeline, partitions)

    return make
