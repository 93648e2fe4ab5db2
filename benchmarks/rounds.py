"""Two sides measured in turn, so that whatever else the machine does falls on both."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from benchmarks.processes import COPIED

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one side took for one round.

    Parameters
    ----------
    events
        How many events it folded while measured.
    cpu_s
        Processor time of its process, of all threads, in seconds.
    wall_s
        Time on the wall, in seconds.
    """

    events: int
    cpu_s: float
    wall_s: float

    @property
    def per_cpu_s(self) -> float:
        """Events a second of processor time: what one core does if nothing else has it."""
        return self.events / self.cpu_s

    @property
    def per_s(self) -> float:
        """Events a second on the wall."""
        return self.events / self.wall_s


def cpu_seconds() -> float:
    """Return the processor time that this process has had, of all its threads, and copies of it that have ended."""
    usages = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Meter:
    """Measures a run, from when everything is open and nothing is read to when all of it is committed.

    What is read ahead before the first commit so counts, on both sides.

    Parameters
    ----------
    total
        Events of the run.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._from: tuple[float, float] | None = None
        self.measured: Measured | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._from is None:
            self._from = cpu_seconds(), time.monotonic()

    def at(self, done: int) -> bool:
        """Note how many events are done; return whether that is all."""
        self.start()
        if done < self._total or self._from is None:
            return False
        if self.measured is None:
            cpu, wall = self._from
            self.measured = Measured(done, cpu_seconds() - cpu, time.monotonic() - wall)
        return True

    def result(self) -> Measured:
        """Return what was measured.

        Raises
        ------
        RuntimeError
            If the run has not come to its end.
        """
        if self.measured is None:
            raise RuntimeError("the run has not come to its end")
        return self.measured


def isolated(
    function: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Call a function in a process of its own: no side sees the other's heap, garbage or caches.

    Function and arguments must be picklable; what it raises is raised here.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=COPIED) as pool:
        return pool.submit(function, *arguments, **named).result()


def in_turn(sides: Sequence[Callable[[int], _Result]], rounds: int) -> list[tuple[_Result, ...]]:
    """Run all sides once a round, in the opposite order every other round.

    Parameters
    ----------
    sides
        Each is given the number of the round.
    rounds
        How many.

    Returns
    -------
    list of tuple
        For every round what each side returned, in the order of ``sides``.
    """
    results = []
    for number in range(rounds):
        order = range(len(sides)) if number % 2 == 0 else range(len(sides) - 1, -1, -1)
        found = {index: sides[index](number) for index in order}
        results.append(tuple(found[index] for index in range(len(sides))))
    return results


def median_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the median, and the greatest less the smallest.

    Examples
    --------
    >>> median_and_spread([0.9, 0.7, 0.8])[0]
    0.8
    """
    return statistics.median(values), max(values) - min(values)
