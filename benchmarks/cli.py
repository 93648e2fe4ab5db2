"""Measures the figures: ``python -m benchmarks [--full] [--only NAME ...]``, then writes ``docs/performance.md``."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from pickle import PickleError
from subprocess import SubprocessError
from typing import Final

from confluent_kafka import KafkaException

from benchmarks.figures import TARGETS, Figure, FiguresFile, pace_ms
from benchmarks.flights import publish_flights
from benchmarks.lab import FULL, QUICK, Lab, Size, open_lab
from benchmarks.measures import (
    aggregates,
    best_peer,
    chained,
    flat,
    instructions,
    latency,
    learn,
    pause,
    restart,
    scale_2,
    score_hop,
)
from benchmarks.page import write_page
from benchmarks.rounds import isolated
from riverrun.errors import RiverrunError

Report = Callable[[Figure], None]

_FAILURES: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    *(KafkaException, PickleError, RiverrunError, SubprocessError),
)
"""What may go wrong while one figure is measured, on this side or in a process of its own."""


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that are measured together, in a lab of their own.

    Parameters
    ----------
    names
        The figures.
    run
        Measures those that are asked for.
    """

    names: tuple[str, ...]
    run: Callable[[Lab], Iterable[Figure]]


def _flights(lab: Lab) -> Iterable[Figure]:
    published = isolated(publish_flights, lab, lab.size.events)
    yield chained.measure(lab, published)
    yield score_hop.measure(lab, published)


def _steady(lab: Lab) -> Iterable[Figure]:
    # Half of what one process does flat out, measured here and now, over more than what it takes to get going.
    events = isolated(publish_flights, lab, 2 * lab.size.events)
    flat_out = isolated(chained.riverrun_side, lab, events, "flat-out")
    yield from latency.measure(lab, flat_out.per_s / 2)


GROUPS = (
    Group(("learn",), lambda lab: [learn.measure(lab)]),
    Group(("aggregates",), lambda lab: [aggregates.measure(lab)]),
    Group(("pause",), lambda lab: [pause.measure(lab)]),
    Group(("instructions",), lambda lab: [instructions.measure(lab)]),
    Group(("chained", "score_hop"), _flights),
    Group(("flat_throughput", "flat_memory"), flat.measure),
    Group(("restart",), lambda lab: [restart.measure(lab)]),
    Group(("scale_2",), lambda lab: [scale_2.measure(lab)]),
    Group(("best_peer",), lambda lab: [best_peer.measure(lab)]),
    # Last: by then the broker's compiler has seen all that a pipeline asks of it, and leaves the processors to others.
    Group(("latency", "freshness"), _steady),
)
_NO_SERVERS = frozenset({"learn", "aggregates", "pause", "instructions"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds, events and state: takes hours")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=sorted(TARGETS), help="measure these alone")
    parser.add_argument("--folder", type=Path, default=Path("build"), help="where everything goes (%(default)s)")
    parser.add_argument("--keep", metavar="WHY", help="keep the count of instructions to compare later ones with")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page anew")
    options = parser.parse_args(arguments)
    size = FULL if options.full else QUICK
    file = FiguresFile(options.folder / "bench.json")
    failed = [] if options.page else _measure(set(options.only or TARGETS), size, options.folder, file)
    if options.keep and "instructions" not in failed:
        instructions.keep(file.read()["instructions"], options.keep)
    write_page(file)
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measure(wanted: set[str], size: Size, folder: Path, file: FiguresFile) -> list[str]:
    """Measure the figures that are asked for; return those that could not be: one failure does not end the others."""
    failed: list[str] = []
    with ExitStack() as servers:
        lab: Lab | None = None
        for group in GROUPS:
            missing = [name for name in group.names if name in wanted]
            if not missing:
                continue
            began, pace = time.monotonic(), pace_ms()
            try:
                if not _NO_SERVERS.issuperset(group.names) and lab is None:
                    # One for all: what is measured later finds a broker that is warm.
                    lab = servers.enter_context(open_lab(folder / "bench", size))
                for figure in group.run(lab or Lab({}, folder / "bench", size)):
                    file.put(figure, size.name, (pace, pace_ms()))
                    missing = [name for name in missing if name != figure.name]
                    _tell(figure)
            except _FAILURES as error:
                traceback.print_exc()
                for name in missing:
                    file.fail(name, f"{type(error).__name__}: {error}"[:300], size.name)
                failed += missing
            print(f"    {', '.join(group.names)} took {time.monotonic() - began:.0f} s", flush=True)
    return failed


def _tell(figure: Figure) -> None:
    verdict = "reached" if figure.as_json()["reached"] else "NOT reached"
    if figure.short_of:
        verdict = f"undecided: {figure.short_of}"
    print(f"{figure.name}: {figure.value:.3g} (reach {TARGETS[figure.name].reach}): {verdict}", flush=True)
