"""The checker is checked: each bug planted on purpose must be caught by the simulation's judge."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import pytest

from riverrun.testing.simulation.trial import Failure, first_failure
from tests.simulation.bugs import BUGS, FOUND, Plant

__all__ = ["MOST_SEEDS", "catch", "caught"]

MOST_SEEDS: Final = 400
_FIRST_SEED: Final[Mapping[str, int]] = {
    "unguarded_partial_store_write": 95,
    "tail_read_before_fencing": 78,
    "deaf_to_wipes": 20,
    "drift_told_again": 15,
    "replaced_member_deletes": 268,
    "torn_order_chosen_again": 505,
    "fenced_once_for_all": 225,
}
"""Where to begin, for bugs that few seeds show: it saves time, and need not be right."""


def catch(plant: Plant, folder: Path) -> Failure | None:
    """Plant a bug, and simulate until the judge says that something is wrong; None if he never does.

    That a member breaks down on it is not enough: it would be seen without any judge.
    """
    first = _FIRST_SEED.get(plant.__name__, 0)
    end = first + MOST_SEEDS
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        failure = first_failure(range(first, end), folder)
        while failure is not None and failure.broke_down:
            failure = first_failure(range(failure.seed + 1, end), folder)
    return failure


def caught(tell: Callable[[str], None], plants: Iterable[Plant] = (*BUGS, *FOUND)) -> dict[str, bool]:
    """Plant one bug after the other; return whether each was caught."""
    results = {}
    with tempfile.TemporaryDirectory(prefix="riverrun-planted-") as name:
        for plant in plants:
            failure = catch(plant, Path(name))
            results[plant.__name__] = failure is not None
            tell(f"planted {plant.__name__}: {'NOT caught' if failure is None else f'caught by seed {failure.seed}'}")
    return results
