"""A task: one chain of stages at work on one partition, transaction by transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from riverrun.errors import UnavailableError
from riverrun.records.items import Progress
from riverrun.records.topics import Kind
from riverrun.runtime.batching import BatchSize
from riverrun.runtime.chain import Chain
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.failpoints import Failpoint
from riverrun.runtime.fence import fence
from riverrun.runtime.inputs import Entry
from riverrun.runtime.instruments import Instruments
from riverrun.runtime.intake import Intake
from riverrun.runtime.latency import Latency
from riverrun.runtime.ports import LogUnavailableError, Writer
from riverrun.runtime.stage import Positions, StageDefinition, split_cursor
from riverrun.runtime.state_writer import StateWriter
from riverrun.runtime.tracing import TracedRecords

_CATCH_UPS = 4
"""How often stages that are behind may catch up in one opening. Once or twice is enough, if they are shown all."""


class Task:
    """Runs a chain on one partition.

    The steps of a batch, in order: take what is there in its certain order; begin; send pointers to what was
    stored since; fold each record through all stages; append the commit records; commit (with the group's
    offsets, now and then); only then, at intervals, write the trailing state.

    Any error but an unavailable state store ends the task: it is closed and opened again through recovery, which
    is the only way back there is.

    Attributes
    ----------
    step
        What it does now, in a word, for whoever finds that it does nothing else.
    instruments
        What is measured of it, and what is wrong.
    """

    def __init__(self, definitions: Sequence[StageDefinition], deployment: Deployment, partition: int) -> None:
        self.partition = partition
        self.folded = 0
        self.latency = Latency()
        self.step = "starting"
        self._definitions = tuple(definitions)
        self._deployment = deployment
        chain_name = "+".join(definition.name for definition in definitions)
        self.instruments = Instruments(deployment, chain_name, partition)
        tracing = deployment.observer.tracing
        self._traced = None if tracing is None else TracedRecords(tracing, chain_name)
        self._chain: Chain | None = None
        self._intake: Intake | None = None
        self._writer: Writer | None = None
        self._consumers: dict[str, tuple[tuple[Positions, Callable[[Any], None]], ...]] = {}
        self._states: StateWriter | None = None
        self._size = BatchSize(deployment.settings.batch_limit, deployment.settings.slice_ms / 1000)
        self._offsets_at = 0.0
        self._in_transaction = False

    @property
    def _head(self) -> str:
        return self._definitions[0].name

    @property
    def transactional_id(self) -> str:
        """The id under which this task commits."""
        return self._deployment.transactional_id(self._head, self.partition)

    def open(self) -> None:
        """Fence whoever worked here before, restore, and catch up where a stage is behind the one before it."""
        self.step = "restoring"
        for _ in range(_CATCH_UPS):
            taken = fence(self._deployment, self._definitions, self.partition)
            self._writer = taken.writer
            chain = self._chain = Chain(self._definitions, self._deployment, self.partition)
            chain.restore(taken.history, taken.ends)
            if chain.behind < 0:
                self._deployment.reach(Failpoint.AFTER_RESTORE)
                self._start(chain, taken.writer)
                return
            self.close()
            self._catch_up(chain)
        raise LogUnavailableError(
            "a stage of the chain cannot catch up: not all that was written for it is shown to it",
            hint="most likely a broker is cut off from the others: see that the brokers reach one another",
        )

    def _catch_up(self, chain: Chain) -> None:
        suffix = Task(self._definitions[chain.behind :], self._deployment, self.partition)
        try:
            suffix.open()
            while suffix.run_once() or not suffix.exhausted():
                self._deployment.heartbeat()
            suffix.drain()
        finally:
            suffix.close()
            # Nobody else will say that what was wrong there is over.
            self._deployment.observer.conditions.forget(suffix.instruments.where)

    def _start(self, chain: Chain, writer: Writer) -> None:
        deployment = self._deployment
        for link in chain.links:
            link.attach(writer, deployment.wire)
        self._intake = Intake(chain, deployment, self.partition, self._traced)
        self._consumers = {}
        # What was wrong in an earlier life may be over: a commit record must say so.
        self.instruments.unsaid = chain.said_degraded
        self.instruments.progress = self._progress(chain)
        self._states = StateWriter(deployment, chain, self.instruments)

    @property
    def trouble(self) -> str:
        """Why state could not be written, or nothing."""
        return "" if self._states is None else self._states.trouble

    @property
    def caught_up(self) -> bool:
        """Whether no more waits to be folded than one batch takes."""
        return self._intake is not None and self._intake.caught_up(self._size.next())

    def exhausted(self) -> bool:
        """Tell whether every input has been read to its present end.

        If then nothing is left to be folded, nothing will be until more comes: what was read and may not be folded
        yet waits for the stages before this one.
        """
        return self._intake is not None and self._intake.exhausted()

    def run_once(self) -> bool:
        """Fold and commit one batch, if there is anything; return whether there was.

        Raises
        ------
        FencedError
            If another member has taken the partition.
        LogUnavailableError, TornError
            If the log is away or the outcome of a commit unknown: close, wait, open again.
        """
        if self._intake is None or self._chain is None or self._writer is None or self._states is None:
            raise RuntimeError("the task is not open")
        now = self._deployment.clocks.monotonic()
        self.step = "reading"
        self._intake.poll()
        entries = self._intake.take(self._size.next(), now)
        if entries or self._states.deferred or self.instruments.unsaid:
            self._transact(self._chain, self._intake, self._writer, entries)
            self._size.took(len(entries), self._deployment.clocks.monotonic() - now)
        if self.instruments.look_due(now):
            self._look(self._chain, self._intake, now)
        if self._states.is_due(now):
            self.step = "writing state"
            self._states.write(calm=self.caught_up)
        elif self._states.awaited and self.caught_up:
            self.step = "writing state"
            self._states.write_awaited()
            if self._states.deferred:
                # In a transaction of its own: the next batch may take long to be folded.
                self._transact(self._chain, self._intake, self._writer, [])
        return bool(entries)

    def _transact(self, chain: Chain, intake: Intake, writer: Writer, entries: list[Entry]) -> None:
        self._in_transaction = True
        began = self._deployment.clocks.monotonic()
        self.step = "folding"
        writer.begin()
        if self._states is not None:
            self._states.send_deferred()
        self._prefetch(intake, entries)
        if self._traced is None:
            self._fold(entries)
        else:
            self._fold_traced(entries, self._traced)
        progress = self._send_progress(chain, writer)
        self.step = "committing"
        self._deployment.reach(Failpoint.BEFORE_COMMIT)
        folded = self._deployment.clocks.monotonic()
        writer.commit(self._group_offsets(intake), self._deployment.group(self._head))
        ended = self._deployment.clocks.monotonic()
        self._deployment.reach(Failpoint.AFTER_COMMIT)
        latencies = self._committed(chain, writer, entries)
        self._in_transaction = False
        self.instruments.unsaid = False
        self.instruments.progress = progress
        self.instruments.committed(len(entries), ended - began, ended - folded, latencies)
        if self._traced is not None:
            self.instruments.traced(self._traced.ended())

    def _send_progress(self, chain: Chain, writer: Writer) -> tuple[Progress, ...]:
        topic, wire = self._deployment.topology.names[Kind.PROGRESS], self._deployment.wire
        progress = self._progress(chain)
        for each in progress:
            key, value = wire.encode_progress(each)
            writer.send(topic, self.partition, key, value, ())
        return progress

    def _progress(self, chain: Chain) -> tuple[Progress, ...]:
        latency, degraded = self.latency.percentiles(), self.instruments.degraded
        return tuple(
            runner.progress(self.partition, self.transactional_id, latency, degraded) for runner in chain.runners
        )

    def _prefetch(self, intake: Intake, entries: list[Entry]) -> None:
        if self._deployment.topology.partitions == 1:
            return
        # What ingest decoded holds its event; other stages' inputs are items themselves.
        items = [getattr(entry.item, "event", entry.item) for entry in entries]
        for runner in intake.chain.runners:
            runner.stage.core.prefetch(items)

    def _fold(self, entries: list[Entry]) -> None:
        consumers = self._consumers
        for entry in entries:
            name, position = entry.cursor, entry.next
            accepting = consumers.get(name)
            if accepting is None:
                accepting = consumers[name] = self._accepting(name)
            for positions, accept in accepting:
                if position > positions.get(name, 0):
                    accept(entry.item)
                    positions[name] = position

    def _fold_traced(self, entries: list[Entry], traced: TracedRecords) -> None:
        """Fold a batch in which some records are traced: what follows from one of these carries its context."""
        wire, done = self._deployment.wire, 0
        for index, trace in traced.start(entries).items():
            self._fold(entries[done:index])
            wire.trace = trace.headers
            try:
                self._fold(entries[index : index + 1])
            finally:
                wire.trace = ()
            trace.folded()
            done = index + 1
        self._fold(entries[done:] if done else entries)
        traced.committing()

    def _accepting(self, name: str) -> tuple[tuple[Positions, Callable[[Any], None]], ...]:
        if self._intake is None:
            return ()
        runners = self._intake.consumers[split_cursor(name)[0]]
        return tuple((runner.positions, runner.accept_new if runner.left else runner.accept) for runner in runners)

    def _group_offsets(self, intake: Intake) -> dict[tuple[str, int], int]:
        now = self._deployment.clocks.monotonic()
        if now < self._offsets_at:
            return {}
        self._offsets_at = now + self._deployment.settings.offsets_interval_ms / 1000
        return intake.offsets()

    def _committed(self, chain: Chain, writer: Writer, entries: list[Entry]) -> list[float]:
        self.folded += len(entries)
        if self._states is not None:
            self._states.committed()
        latencies: list[float] = []
        if entries:
            stamps = [entry.timestamp for entry in entries]
            latencies = self.latency.observe(stamps, self._deployment.clocks.wall() * 1000)
        for link in chain.links:
            link.durable = max(link.durable, link.next_seq)
        for runner in chain.runners:
            for _, link, _ in runner.chained:
                offset = writer.first_offset(link.topic, link.partition)
                if offset >= 0:
                    runner.hints[link.topic, link.partition] = offset
        return latencies

    def _look(self, chain: Chain, intake: Intake, now: float) -> None:
        refused = [
            why for runner in chain.runners if runner.stage.refused is not None and (why := runner.stage.refused())
        ]
        self.instruments.look(now, intake.lag(), caught_up=self.caught_up, refused="; ".join(refused))

    def models(self) -> dict[str, int]:
        """Return the version of each model that this task scores with; empty if it does not score."""
        chain = self._chain
        if chain is None:
            return {}
        in_use = [runner.stage.models() for runner in chain.runners if runner.stage.models is not None]
        return {name: version for each in in_use for name, version in each.items()}

    def drain(self) -> None:
        """Write all trailing state, and pointers to it, before a planned stop.

        Nothing is written if a transaction has failed: what is in memory goes beyond what was committed then.
        """
        states = self._states
        if self._chain is None or self._intake is None or self._writer is None or states is None:
            return
        if self._in_transaction:
            return
        if states.deferred:
            # What a state has told of counts as committed by the time that it is written again.
            self._transact(self._chain, self._intake, self._writer, [])
        self.step = "writing state"
        states.write_all()
        if states.deferred:
            self._transact(self._chain, self._intake, self._writer, [])
        for runner in self._chain.runners:
            reached = runner.reflected()
            for state in runner.stage.states:
                try:
                    state.checkpoint(reached)
                except UnavailableError as error:
                    states.trouble = str(error)

    def close(self) -> None:
        """Release everything without committing; safe at any time."""
        if self._traced is not None:
            self._traced.ended("its transaction was not committed")
        if self._writer is not None:
            self._writer.close()
        if self._intake is not None:
            self._intake.close()
        if self._chain is not None:
            self._chain.close()
        self._writer = self._intake = self._chain = self._states = None
