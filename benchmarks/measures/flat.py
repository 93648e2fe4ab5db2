"""``flat_throughput`` and ``flat_memory``: riverrun at the end of a long log, against itself at its start.

One chained run over made-up events whose state is bounded: so many entities, windows of an hour, labels within
minutes. The first window of events is compared with the last, by processor time of the process, and the resident
memory after the one with that after the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure
from benchmarks.lab import FIVE_STAGES, Lab, fold, schema_ids, stages
from benchmarks.rounds import Meter, cpu_seconds, isolated
from benchmarks.synthetic import Ask, busy_messages, busy_pipeline
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.pipeline import Pipeline

_ENTITIES: Final = 5_000
_STEP_MS: Final = 2_000
_ANSWER_AFTER: Final = 60
_FLUSH_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Length:
    """How long the log is, and the windows at its two ends, in events."""

    events: int
    window: int


LENGTHS: Final = {"quick": Length(90_000, 15_000), "full": Length(10_000_000, 100_000)}


def pipeline(name: str) -> Pipeline:
    """Return a pipeline that forgets soon."""
    return busy_pipeline(name, window="1h", wait="30m", dedupe="1h")


def measure(lab: Lab) -> tuple[Figure, Figure]:
    """Measure both figures in one run (one run is long: the spread is that of its windows)."""
    length = LENGTHS[lab.size.name]
    isolated(publish, lab, length.events)
    marks = isolated(run, lab, length)
    speeds = [(later.events - earlier.events) / (later.cpu_s - earlier.cpu_s) for earlier, later in pairwise(marks)]
    details = {
        "events": length.events,
        "window": length.window,
        "per_cpu_s": [round(each) for each in speeds],
        "memory_mb": [round(mark.memory_mb, 1) for mark in marks[1:]],
    }
    start = speeds[0]
    later = [each / start for each in speeds[1:]]
    short_of = "" if length == LENGTHS["full"] else f"{length.events:,} events, not 10 million"
    throughput = Figure(
        "flat_throughput",
        speeds[-1] / start,
        max(later) - min(later),
        tuple(later),
        details=details,
        short_of=short_of,
    )
    sizes = [mark.memory_mb / marks[1].memory_mb for mark in marks[2:]]
    memory = Figure("flat_memory", sizes[-1], max(sizes) - min(sizes), tuple(sizes), details=details, short_of=short_of)
    return throughput, memory


def plan(events: int) -> Iterator[Ask]:
    """Yield who asks when: half of the events ask, and each of them is answered two minutes later."""
    rng = random.Random(7)
    waiting: list[str] = []
    for number in range(events // 2):
        who = f"w{rng.randrange(_ENTITIES)}"
        answered = waiting[number - _ANSWER_AFTER] if number >= _ANSWER_AFTER else None
        waiting.append(who)
        yield Ask(who, number * _STEP_MS, answered)


def publish(lab: Lab, events: int) -> None:
    """Publish the log."""
    deployment = lab.connect(pipeline("flat"))
    producer = kafka_producer({"linger.ms": 20, **lab.kafka})
    for topic, key, value in busy_messages(deployment.pipeline, schema_ids(deployment), plan(events)):
        while True:
            try:
                producer.produce(topic, value, key)
            except BufferError:
                producer.poll(0.05)
            else:
                break
        producer.poll(0)
    deployment.log.close()
    if producer.flush(_FLUSH_S) > 0:
        raise RuntimeError("the broker does not take the events")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the process stands after so many events."""

    events: int
    cpu_s: float
    memory_mb: float


class _Marks(Meter):
    """Notes a mark each window of events."""

    def __init__(self, total: int, window: int) -> None:
        super().__init__(total)
        self._window = window
        self.marks: list[Mark] = []

    def start(self) -> None:
        """Note the first mark."""
        super().start()
        if not self.marks:
            self._note(0)

    def at(self, done: int) -> bool:
        """Note a mark whenever another window is done."""
        ended = super().at(done)
        if done >= self.marks[-1].events + self._window:
            self._note(done)
        return ended

    def _note(self, done: int) -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.marks.append(Mark(done, cpu_seconds(), pages * 4096 / 2**20))


def run(lab: Lab, length: Length) -> list[Mark]:
    """Fold the whole log; return the marks, the first before the first event."""
    deployment = lab.connect(pipeline("flat"))
    # The last answers have nobody left to ask for them: there are a few events fewer.
    meter = _Marks(length.events - _ANSWER_AFTER - length.events % 2, length.window)
    fold(deployment, [stages(*FIVE_STAGES)], meter)
    return meter.marks
