"""The intake: copies what the rules look at into the signals topic, each record once, and lets the clock tick.

How far it has got is part of what it writes: the last record of each transaction is a mark with all positions. So it
needs no state, and goes on after the last mark whatever ended it. Its transactional id shuts out a predecessor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from riverrun.pipeline import Pipeline
from riverrun.pipeline.alerts import (
    AlertRule,
    ChampionRule,
    CounterRule,
    DeadLetterRule,
    DriftRule,
    LagRule,
    QualityRule,
    SilenceRule,
)
from riverrun.records.topics import Kind
from riverrun.runtime.backoff import Backoff
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import Log, LogUnavailableError, Reader, Record, TornError, Writer
from riverrun.runtime.topology import Topology
from services.alerts.signals import Mark, origin_header, read_mark

__all__ = ["Intake", "IntakePace", "intake_of", "wanted_kinds"]

_LOG = logging.getLogger("riverrun.alerts.intake")
_BATCH: Final = 500
_COMMANDS_S: Final = 0.5
_INGEST: Final = "ingest"

Place = tuple[str, int]

_KINDS: Final[Mapping[type[AlertRule], tuple[Kind, ...]]] = {
    DriftRule: (Kind.DRIFT,),
    DeadLetterRule: (Kind.PROGRESS,),
    QualityRule: (Kind.EVALUATIONS, Kind.MODELS),
    LagRule: (Kind.PROGRESS,),
    SilenceRule: (Kind.PROGRESS,),
    CounterRule: (Kind.PROGRESS,),
    ChampionRule: (Kind.MODELS,),
}


@dataclass(frozen=True, slots=True)
class IntakePace:
    """How the intake passes its time, in seconds.

    ``wait`` waits so long, or less if it is to stop, and returns whether it is; ``monotonic`` is a clock; ``tick`` how
    often a mark is written though nothing came; ``idle`` how long it rests when less than a full batch came: Faust must
    keep up with its transactions.
    """

    wait: Callable[[float], bool]
    monotonic: Callable[[], float]
    tick: float = 5.0
    idle: float = 0.25


@dataclass(frozen=True, slots=True)
class Copied:
    """What is copied, from where.

    ``commands`` is the partition read to its end before any other: who subscribed before the service began is told of
    all that it finds. ``places`` are all partitions read; ``stages`` those whose commit records are wanted (None: all).
    """

    commands: Place
    places: Sequence[Place]
    progress: str
    stages: frozenset[bytes] | None

    def wants(self, record: Record) -> bool:
        """Tell whether a record is to be copied: a commit record says in its key whose it is."""
        return record.topic != self.progress or self.stages is None or record.key in self.stages


def wanted_kinds(rules: Iterable[AlertRule]) -> frozenset[Kind]:
    """Return the topics that some rule looks at, and that of the commands."""
    return frozenset({Kind.ALERT_COMMANDS, *(kind for rule in rules for kind in _KINDS[type(rule)])})


def copied_for(pipeline: Pipeline, topology: Topology) -> Copied:
    """Return what the intake copies for a pipeline's rules."""
    places = [
        (topology.names[kind], partition)
        for kind in sorted(wanted_kinds(pipeline.alert_rules))
        for partition in sorted({topology.place(topology.names[kind], each) for each in range(topology.partitions)})
    ]
    stages = {_INGEST, *(rule.stage for rule in pipeline.alert_rules if isinstance(rule, CounterRule))}
    everyone = any(isinstance(rule, LagRule) for rule in pipeline.alert_rules)
    commands = topology.names[Kind.ALERT_COMMANDS], 0
    return Copied(
        commands, places, topology.names[Kind.PROGRESS], None if everyone else frozenset(map(str.encode, stages))
    )


class Intake:
    """Copies records to the signals topic.

    Parameters
    ----------
    log
        Where all topics are.
    place
        The signals topic, and the transactional id that shuts out a predecessor.
    copied
        What is copied.
    ends
        Returns where the producers' topics end.
    pace
        Times.
    """

    def __init__(
        self,
        log: Log,
        place: tuple[str, str],
        copied: Copied,
        ends: Callable[[], Mapping[str, int]],
        pace: IntakePace,
    ) -> None:
        self._log = log
        self._signals, self._id = place
        self._copied = copied
        self._ends = ends
        self._pace = pace
        self._writer: Writer | None = None
        self._readers: dict[Place, Reader] = {}
        self._positions: dict[str, int] = {}
        self._ticked = 0.0
        self._commands_first = True

    def run(self) -> None:
        """Copy until told to stop.

        Raises
        ------
        FencedError
            If another intake has taken over.
        """
        waits = Backoff(0.2, 5.0)
        try:
            while not self._pace.wait(0.0):
                try:
                    if self._writer is None:
                        self.open()
                        waits = Backoff(0.2, 5.0)
                    copied = self.run_once()
                except (LogUnavailableError, TornError) as error:
                    _LOG.warning("the intake begins again: %s", error)
                    self.close()
                    self._pace.wait(waits.next())
                    continue
                if copied < _BATCH:
                    self._pace.wait(self._pace.idle)
        finally:
            self.close()

    def open(self) -> None:
        """Shut out a predecessor, and take up where the last mark says.

        Raises
        ------
        FencedError, LogUnavailableError
            If that cannot be done.
        """
        self._writer = self._log.writer(self._id)
        self._writer.open()
        end = self._writer.confirmed_ends([(self._signals, 0)])[self._signals, 0]
        last = self._log.tail(self._signals, 0, 1, reaching=end)
        mark = read_mark(last[0]) if last else None
        self._positions = dict(mark.positions) if mark is not None else {}
        self._readers = {
            place: self._log.reader(*place, self._positions.get(_text(place), 0)) for place in self._copied.places
        }
        self._commands_first = True

    def run_once(self) -> int:
        """Copy what there is, with a mark behind it; return how many records were looked at.

        Raises
        ------
        FencedError, LogUnavailableError, TornError
            If it cannot be written.
        """
        if self._writer is None:
            raise LogUnavailableError("the intake is not open")
        found = self._look()
        looked = sum(len(records) for _, records in found)
        wanted = [record for _, records in found for record in records if self._copied.wants(record)]
        now = self._pace.monotonic()
        is_due = now - self._ticked >= self._pace.tick
        for place, records in found:
            if records:
                self._positions[_text(place)] = records[-1].offset + 1
        if not wanted and not is_due:
            return looked
        ends = self._ends() if is_due else {}
        self._ticked = now if is_due else self._ticked
        writer = self._writer
        writer.begin()
        for record in wanted:
            headers = origin_header(record.topic, record.partition, record.offset)
            writer.send(self._signals, 0, record.key, record.value, headers)
        writer.send(self._signals, 0, None, Mark(self._positions, ends).to_bytes(), [])
        writer.commit({}, "")
        return looked

    def _look(self) -> list[tuple[Place, list[Record]]]:
        """Return what there is; commands alone until there are no more of them."""
        if self._commands_first:
            place = self._copied.commands
            reader = self._readers[place]
            commands = reader.poll(_BATCH, _COMMANDS_S)
            self._commands_first = not reader.at_end
            if commands or self._commands_first:
                return [(place, commands)]
        return [(place, reader.poll(_BATCH)) for place, reader in self._readers.items()]

    def close(self) -> None:
        """Release connections; an open transaction is given up."""
        for reader in self._readers.values():
            reader.close()
        self._readers = {}
        if self._writer is not None:
            self._writer.abort()
            self._writer.close()
            self._writer = None


def _text(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def intake_of(deployment: Deployment, log: Log, pace: IntakePace) -> Intake:
    """Return the intake of a pipeline."""
    topology, pipeline = deployment.topology, deployment.pipeline
    places = [(stream.topic, number) for stream in pipeline.streams for number in range(topology.partitions)]

    def ends() -> Mapping[str, int]:
        return {_text(place): log.high_watermark(*place) for place in places}

    place = topology.names[Kind.ALERT_SIGNALS], f"riverrun.{pipeline.name}.alerts.intake"
    return Intake(log, place, copied_for(pipeline, topology), ends, pace)
