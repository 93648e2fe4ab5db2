"""Writes ``docs/performance.md`` and its picture from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl

from benchmarks.figures import TARGETS, FiguresFile, Json
from benchmarks.picture import draw

_ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = _ROOT / "docs" / "performance.md"
PICTURE: Final = _ROOT / "docs" / "pictures" / "performance.svg"

_MOST_LISTED: Final = 20
_INTRODUCTION: Final = """# Performance

This page is written by `python -m benchmarks` from `build/bench.json`; do not edit it by hand.
`make bench` measures it anew in a quarter of an hour, `make bench-full` with more rounds, events and state.
Both run riverrun with its inner loops compiled, as the image has them (`make native`); a checkout by itself is
interpreted. In detail below it says with each figure how it was measured, and, of newer ones, at which pace: what
Python took to add up a million numbers before its group was measured and after it. Where others share the processor,
one minute may have half the pace of another.

Every figure is a ratio, or a time, whose two sides ran in one go: on the same broker, over the same records, with the
same models and guarantees, in turn. What is given is the median of the rounds, and as its spread the greatest less the
smallest; a figure of one round has none. (`flat_*` are of one long run: their rounds are its windows, their value is
the last's.) Where a machine's other work would ruin a time on the wall, processor time is compared: of the whole
process, with the threads of its Kafka client.

The broker is the embedded one, on the same cores, set up as in production and warmed up: with Java's optimizing
compiler, the garbage collector of Kafka's own start script, and the heap that its documentation gives it (6 GB, but no
more than a quarter of the machine's memory). The embedded default leaves the compiler out to start quickly, and takes
6 ms for a commit where this one takes 2.5.

"""

_SIDES: Final = """
## What is compared with what

The sides written by hand are in [`benchmarks/bare/`](../benchmarks/bare), to be read: what an expert would write for
this one pipeline, with confluent-kafka, fastavro and River, and no layer between.

- **score_hop.** `bare/score_hop.py` consumes vectors in batches, scores them by the same trained models, and commits
  predictions and offsets in one transaction a batch. Both sides' output is checked to be the same, byte for byte.
  riverrun pays for its layers partly with a hand-made encoder of predictions, 5 µs quicker than the loop's fastavro.
- **chained.** `bare/chained.py` does all five stages of the flights example in one loop: distrustful decoding, the
  merge by event time, duplicates, the windows (running totals, which whole minutes allow), three models, the join with
  late labels, evaluation. It pickles its state each 25,000 events and folds again, after a crash, what was committed
  since. What it leaves out: partials in Redis for others to read, revisions of labels, commit records, headers that say
  where a record came from, metrics over a window. It evaluates by River's own metrics; riverrun has an area under the
  ROC curve of its own, of finer steps, which takes less. Both sides' scores are checked to be the same to the last bit.
- **learn.** `bare/learn.py` is River's plain loop over logged examples: decode, update the metric, `learn_one`. The
  models are checked to be the same afterwards, by their digests.
- **best_peer.** The same five stages as separate programs, on other stream processors, in
  [`benchmarks/peers/`](../benchmarks/peers). They are installed from their packages, for the benchmark alone. Much of
  the work is everybody's: decoding, windows, three models of River. What it takes without transactions and without a
  merge by time, Bytewax's processor time shows. A run ends when most examples are written and learned.
- **latency** runs from the broker's append of an event until a read-committed consumer has its prediction,
  **freshness** from the append of a label until a prediction by a model that has learned from it is there. They
  come last, and one run of five services before them is not counted: the broker's compiler is at work for minutes on
  what they ask of it. With `--only` it is less warm. The bare loop at half of riverrun's saturation is in the full
  benchmark.
- **flat_throughput** and **flat_memory** compare riverrun with itself, late and early in one long log.
- **scale_2** is of the `score` stage alone, with a forest of fifty trees, which is the bottleneck wherever one is used.
  The broker and Redis are on the same two cores as the members, which is a handicap.
- **restart** counts everything from before the process is made, imports included.
- **aggregates** is the cost of one aggregate among 64, by that of one alone; the worst doubling is the one on the way
  from 1 to 64 at which an aggregate's cost falls least.
- **pause** is the longest turn of the learn stage less the median one, while it takes and stores a snapshot of a forest
  that the garbage collector has set aside, as it does after a start. One that has grown large since then is gone
  through now and then, which takes half a second at this size.
- **instructions** are counted by callgrind on a log in memory, and compared with `benchmarks/instructions.json`, where
  who keeps a count says why.
"""


def write_page(file: FiguresFile) -> None:
    """Write the page and its picture; figures that were not measured are left out."""
    figures = file.read()
    if not figures:
        return
    mpl.use("svg")
    draw(figures, PICTURE)
    PAGE.write_text(page(figures, file.machine()), encoding="utf-8")


def page(figures: Mapping[str, Json], machine: Json) -> str:
    """Return the page's text."""
    lines = ["| figure | what | value | reach | spread | |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [_row(name, figures[name]) for name in TARGETS if name in figures]
    picture = f"\n![Each figure by what it has to reach](pictures/{PICTURE.name})\n"
    parts = [_INTRODUCTION, "\n".join(lines), "\n", picture, _machine(machine), _SIDES, _details(figures)]
    return "".join(parts)


def _row(name: str, figure: Json) -> str:
    target = TARGETS[name]
    unit = "" if target.unit == "ratio" else f" {target.unit}"
    sign = "≥" if target.better == "more" else "≤"
    if figure.get("failed"):
        why = f"could not be measured: {figure['failed']}"
        return f"| `{name}` | {target.what} | | {sign} {target.reach}{unit} | | {why} |"
    verdict = "reached" if figure.get("reached") else f"**not reached**{_missed(name, figure)}"
    if figure.get("short_of"):
        verdict = f"undecided: {figure['short_of']}"
    value, rounds = figure.get("value"), figure.get("rounds")
    spread = figure.get("spread") if isinstance(rounds, list) and len(rounds) > 1 else "one round"
    return f"| `{name}` | {target.what} | {value}{unit} | {sign} {target.reach}{unit} | {spread} | {verdict} |"


def _missed(name: str, figure: Mapping[str, Any]) -> str:
    """Return which parts of a figure fall short, where the figure itself does not say it."""
    target, sign = TARGETS[name], "<" if TARGETS[name].better == "more" else ">"
    missed = [
        f"{part} {found['value']} {sign} {found['reach']}"
        for part, found in figure.get("parts", {}).items()
        if not replace(target, reach=found["reach"]).reached_by(found["value"])
    ]
    return f": {', '.join(missed)}" if missed else ""


def _machine(machine: Json) -> str:
    if not machine:
        return ""
    return (
        f"\nMeasured on {machine.get('cores')} cores of {machine.get('processor')}, "
        f"Python {machine.get('python')}; load when the last figure was written: {machine.get('load_before')}.\n"
    )


def _details(figures: Mapping[str, Json]) -> str:
    lines = ["\n## In detail\n"]
    for name in TARGETS:
        if name not in figures:
            continue
        figure: Mapping[str, Any] = figures[name]
        lines.append(f"\n### {name} ({figure.get('size', 'quick')}, {figure.get('how', 'interpreted')})\n\n")
        lines.append(f"Rounds: {_listed(figure.get('rounds', [])) or 'one'}.\n")
        for part, found in figure.get("parts", {}).items():
            lines.append(f"- {part}: {found['value']} (reach {found['reach']})\n")
        if figure.get("pace_ms"):
            lines.append(f"- pace: {' and '.join(map(str, figure['pace_ms']))} ms\n")
        else:
            lines.append("- pace: not noted; the broker's heap was 512 MiB then\n")
        for what, value in figure.get("details", {}).items():
            lines.append(f"- {what}: {_told(value)}\n")
    return "".join(lines)


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list):
        return _listed(value)
    return str(value)


def _listed(values: Sequence[Any]) -> str:
    """Return a list in words; of a long one, which nobody would read, each tenth part's median."""
    if len(values) <= _MOST_LISTED:
        return ", ".join(str(each) for each in values)
    ends = [len(values) * tenth // 10 for tenth in range(11)]
    medians = [median(values[start:end]) for start, end in pairwise(ends)]
    return f"{len(values)}, of each tenth the median: {', '.join(f'{each:.4g}' for each in medians)}"
