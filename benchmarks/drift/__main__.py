"""Judges the detection of drift: ``python -m benchmarks.drift [--streams N]``, which writes ``build/drift.json``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from math import inf
from pathlib import Path
from typing import Final

from benchmarks.drift.judge import Verdict, always_fire, judge
from benchmarks.drift.streams import KINDS, Change, stream
from benchmarks.drift.subject import Subject

LENGTH: Final = 30_000
QUIET_LENGTH: Final = 50_000
FILE: Final = Path("build/drift.json")
LEAST_RECALL: Final = 0.9
MOST_FALSE_ALARMS: Final = 1.0


def main(arguments: Sequence[str]) -> int:
    """Judge all kinds of streams; return 0 if the targets are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--streams", type=int, default=12, help="streams of each kind (default: 12)")
    parser.add_argument("--processes", type=int, default=2, help="processes to share them (default: 2)")
    options = parser.parse_args(arguments)
    jobs = [(number, seed) for seed in range(options.streams) for number in range(len(KINDS))]
    with ProcessPoolExecutor(options.processes) as pool:
        trials = list(pool.map(_trial, *zip(*jobs, strict=True)))
    report = _report(jobs, trials)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(report, indent=2) + f"\n{FILE}\n")
    return 0 if report["reached"] else 1


class Trial:
    """What came of one stream: its drifts, and the moments and kinds of the findings."""

    def __init__(self, changes: list[Change], length: int, found: list[tuple[int, str]], seconds: float) -> None:
        self.changes = changes
        self.length = length
        self.found = found
        self.seconds = seconds

    @property
    def moments(self) -> list[int]:
        """The events at which anything was found."""
        return sorted({at for at, _ in self.found})

    def telling(self, kinds: frozenset[str]) -> list[int]:
        """Return the events at which something of these kinds was found."""
        return sorted({at for at, kind in self.found if kind in kinds})


def _trial(number: int, seed: int) -> Trial:
    kind = KINDS[number]
    length = QUIET_LENGTH if kind.name.startswith("none") else LENGTH
    changes, events = stream(kind, seed, length)
    subject = Subject()
    began = time.process_time()
    subject.run(events)
    seconds = time.process_time() - began
    return Trial(changes, length, [(at, finding.kind) for at, finding in subject.found], seconds)


def _report(jobs: Sequence[tuple[int, int]], trials: Sequence[Trial]) -> dict[str, object]:
    events = sum(trial.length for trial in trials)
    ours = {kind.name: Verdict() for kind in KINDS}
    always = {kind.name: Verdict() for kind in KINDS}
    kinds: dict[str, Counter[str]] = {kind.name: Counter() for kind in KINDS}
    for (number, _), trial in zip(jobs, trials, strict=True):
        kind = KINDS[number]
        telling = trial.telling(kind.shown_by)
        ours[kind.name].add(judge(trial.changes, trial.moments, trial.length, telling))
        # As often as ours on streams of this kind: once in so many events, whatever happens.
        always[kind.name].add(always_fire(trial.changes, trial.length, _every(number, jobs, trials)))
        kinds[kind.name].update(what for _, what in trial.found)
    whole, baseline = _whole(ours), _whole(always)
    recall, alarms = whole["recall"], whole["false_alarms_per_100k"]
    reached = recall is not None and alarms is not None and recall >= LEAST_RECALL and alarms <= MOST_FALSE_ALARMS
    return {
        **whole,
        "reached": reached,
        "events": events,
        "microseconds_per_event": sum(trial.seconds for trial in trials) / events * 1e6,
        "by_kind": {name: {**ours[name].figures(), "findings": dict(kinds[name])} for name in ours},
        "always_fire": {
            **baseline,
            "by_kind": {name: verdict.figures() for name, verdict in always.items()},
        },
    }


def _every(number: int, jobs: Sequence[tuple[int, int]], trials: Sequence[Trial]) -> float:
    """Return in how many events something is found once, over the streams of a kind; endlessly many if never."""
    alike = [trial for (other, _), trial in zip(jobs, trials, strict=True) if other == number]
    moments = sum(len(trial.moments) for trial in alike)
    return sum(trial.length for trial in alike) / moments if moments else inf


def _whole(verdicts: dict[str, Verdict]) -> dict[str, float | None]:
    """Return recall and delay over all drifts, and false alarms on the streams that have none."""
    everything, quiet = Verdict(), Verdict()
    for name, verdict in verdicts.items():
        (quiet if name.startswith("none") else everything).add(verdict)
    return {
        "recall": everything.recall,
        "false_alarms_per_100k": quiet.false_alarms_per_100k,
        "delay": everything.delay,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
