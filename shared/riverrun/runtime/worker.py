"""The worker: runs tasks for the partitions that group membership gives it, and survives what can go wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from riverrun.errors import RiverrunError, UnavailableError
from riverrun.runtime import collector, metrics
from riverrun.runtime.backoff import Backoff
from riverrun.runtime.degradations import Degradation, degradation_of
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import FencedError, Membership, TornError
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.task import Task

_LOG = logging.getLogger("riverrun.worker")
_IDLE_FIRST = 0.001
_IDLE_MOST = 0.01
_SEVERAL = 2


@dataclass(slots=True)
class Unit:
    """A chain of stages and this member's share of its partitions."""

    definitions: tuple[StageDefinition, ...]
    membership: Membership
    rejoin: Backoff
    tasks: dict[int, Task] = field(default_factory=dict)
    waits: dict[int, Backoff] = field(default_factory=dict)
    pauses: dict[int, float] = field(default_factory=dict)
    owned: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        """The chain's stages, for people."""
        return "+".join(definition.name for definition in self.definitions)

    @property
    def pause_s(self) -> float:
        """How long its most urgent stage bears to wait between two transactions, in seconds."""
        return min(definition.pause_ms for definition in self.definitions) / 1000

    def place(self, partition: int) -> str:
        """Name a partition of the chain, for people."""
        return f"{self.name}[{partition}]"


class Worker:
    """Runs chains until it is stopped.

    One thread runs all tasks in turn (the interpreter runs one at a time anyway), so nothing in a task is locked.
    ``run`` is ``join``, ``round`` again and again, and ``leave``; a simulation calls these itself.

    Parameters
    ----------
    deployment
        What the tasks share; its heartbeat becomes the worker's.
    chains
        The stages to run, in chains.

    Attributes
    ----------
    trouble
        What was wrong last, in words; empty if nothing is.
    ready
        Set once the first partition is restored.
    came_round
        When the worker last came round, in monotonic seconds: if that is long ago, it waits in one call.
    ended
        Whether ``run`` has come to its end, good or bad.
    """

    def __init__(self, deployment: Deployment, chains: Sequence[Sequence[StageDefinition]]) -> None:
        self._deployment = replace(deployment, heartbeat=self.heartbeat)
        pipeline = deployment.pipeline
        wanted = [tuple(stage for stage in chain if stage.wanted(pipeline)) for chain in chains]
        self._chains = [chain for chain in wanted if chain]
        self._units: list[Unit] = []
        self._stopping = threading.Event()
        self.trouble = ""
        self.ready = threading.Event()
        self.came_round = deployment.clocks.monotonic()
        self.ended = False
        self._opened = 0
        # Places at which something failed, until they work again.
        self._failing: set[str] = set()

    def stop(self) -> None:
        """Ask for a drain: the batch at hand is committed, state written, the groups left."""
        self._stopping.set()

    def run(self) -> None:
        """Run until stopped.

        Raises
        ------
        RiverrunError
            What no retry can mend (records missing from the log, contradictory topics).
        """
        try:
            self._start()
            self._rounds()
        finally:
            self.ended = True

    def _start(self) -> None:
        wait = Backoff.of(self._deployment.settings)
        while not self._stopping.is_set() and len(self._units) < len(self._chains):
            self.came_round = self._deployment.clocks.monotonic()
            try:
                self.join()
            except UnavailableError as error:
                self._report("starting", error)
                self._stopping.wait(wait.next())
        self._works("starting")

    def _rounds(self) -> None:
        idle, settled = _IDLE_FIRST, 0
        try:
            while not self._stopping.is_set():
                if self.round():
                    idle = _IDLE_FIRST
                else:
                    self._stopping.wait(idle)
                    idle = min(idle * 1.5, _IDLE_MOST)
                if self._opened != settled:
                    settled = self._opened
                    collector.set_aside()
        finally:
            self.leave()
            collector.release()

    def join(self) -> None:
        """Join the groups of all chains.

        Raises
        ------
        UnavailableError
            If the log is away: call it again.
        """
        deployment = self._deployment
        deployment.ensure_topics()
        # After a failure the groups that were joined are kept: only the rest is still to be joined.
        for chain in self._chains[len(self._units) :]:
            self._units.append(Unit(chain, self._membership(chain), Backoff.of(deployment.settings)))

    def _membership(self, chain: Sequence[StageDefinition]) -> Membership:
        deployment, head = self._deployment, chain[0]
        return deployment.log.membership(deployment.group(head.name), head.inputs(deployment.pipeline)[0])

    def heartbeat(self) -> None:
        """Serve group membership during a long recovery; what changes is seen in the next round."""
        self.came_round = self._deployment.clocks.monotonic()
        for unit in self._units:
            # It says so again then; whoever recovers here may be of another unit.
            with suppress(UnavailableError):
                unit.membership.poll()

    def round(self) -> bool:
        """Let every task that this member has now fold one batch; return whether any did.

        Raises
        ------
        RiverrunError
            What no retry can mend.
        """
        busy = False
        self.came_round = self._deployment.clocks.monotonic()
        places = [(unit, number) for unit in self._units if self._poll(unit) for number in sorted(unit.owned)]
        self._shut_out([(unit, number) for unit, number in places if self._is_due(unit, number)])
        for unit, number in places:
            busy |= self._work(unit, number)
        return busy

    def _poll(self, unit: Unit) -> bool:
        """Learn what a unit owns now, and let go of the rest; return whether it is a member."""
        try:
            owned = unit.membership.poll()
        except UnavailableError as error:
            self._report(unit.name, error)
            self._rejoin(unit)
            return False
        self._works(unit.name)
        if owned != unit.owned:
            unit.owned = owned
            self._deployment.observer.meter.counter(metrics.REBALANCES, unit.name).add()
        for partition in [number for number in unit.tasks if number not in owned]:
            self._release(unit, partition)
        return True

    def _is_due(self, unit: Unit, partition: int) -> bool:
        """Tell whether a partition is to be opened now."""
        if partition in unit.tasks:
            return False
        wait = unit.waits.get(partition)
        return wait is None or wait.until <= self._deployment.clocks.monotonic()

    def _shut_out(self, places: Sequence[tuple[Unit, int]]) -> None:
        """End what predecessors have left open in several places, before the first of them is opened.

        Stages share topics: whoever is opened reads their ends, and would wait for the transaction that the process
        before this one has left in another place, until the broker gives it up.
        """
        if len(places) < _SEVERAL:
            return
        for unit, partition in places:
            head = unit.definitions[0].name
            writer = self._deployment.log.writer(self._deployment.transactional_id(head, partition))
            # What is wrong is told when the place is opened.
            with suppress(FencedError, TornError, UnavailableError):
                writer.open()
            writer.close()

    def _rejoin(self, unit: Unit) -> None:
        """Come back as a new member; whether what was owned still is, nobody can tell, so it is let go of."""
        now = self._deployment.clocks.monotonic()
        if now < unit.rejoin.until:
            return
        unit.rejoin.until = now + unit.rejoin.next()
        for partition in list(unit.tasks):
            unit.tasks.pop(partition).close()
            self._forget(unit.place(partition))
        unit.membership.close()
        try:
            unit.membership = self._membership(unit.definitions)
        except UnavailableError as error:
            self._report(unit.name, error)

    def _work(self, unit: Unit, partition: int) -> bool:
        now = self._deployment.clocks.monotonic()
        wait = unit.waits.get(partition)
        if now < unit.pauses.get(partition, 0.0) or (wait is not None and now < wait.until):
            return False
        task = unit.tasks.get(partition)
        try:
            if task is None:
                task = unit.tasks[partition] = Task(unit.definitions, self._deployment, partition)
                self._open(unit, task)
            busy = task.run_once()
        except (FencedError, TornError, UnavailableError) as error:
            self._count(unit, error)
            self._report(unit.place(partition), error)
            self._fail(unit, partition, now)
            return False
        self._works(unit.place(partition))
        if busy and wait is not None:
            del unit.waits[partition]
        if busy and unit.pause_s and task.caught_up:
            unit.pauses[partition] = now + unit.pause_s
        self.trouble = task.trouble
        return busy

    def _open(self, unit: Unit, task: Task) -> None:
        where, clock = unit.place(task.partition), self._deployment.clocks.monotonic
        if where not in self._failing:
            self._find(where, {Degradation.RECOVERING: "its state is being restored"})
        began = clock()
        task.open()
        self._opened += 1
        self._deployment.observer.meter.histogram(metrics.RESTORE_SECONDS, unit.name).observe(clock() - began)
        self.ready.set()
        _LOG.info("%s runs", where)

    def _count(self, unit: Unit, error: RiverrunError) -> None:
        meter = self._deployment.observer.meter
        if isinstance(error, FencedError):
            meter.counter(metrics.FENCED, unit.name).add()
        elif isinstance(error, TornError):
            meter.counter(metrics.TORN, unit.name).add()

    def _find(self, where: str, found: dict[Degradation, str]) -> None:
        self._failing.add(where)
        self._deployment.observer.conditions.replace(where, "work", found, self._deployment.clocks.wall())

    def _works(self, where: str) -> None:
        if where in self._failing:
            self._failing.discard(where)
            self._deployment.observer.conditions.replace(where, "work", {}, self._deployment.clocks.wall())

    def _forget(self, where: str) -> None:
        self._failing.discard(where)
        self._deployment.observer.conditions.forget(where)

    def _fail(self, unit: Unit, partition: int, now: float) -> None:
        task = unit.tasks.pop(partition, None)
        if task is not None:
            task.close()
        wait = unit.waits.setdefault(partition, Backoff.of(self._deployment.settings))
        wait.until = now + wait.next()

    def _release(self, unit: Unit, partition: int) -> None:
        task = unit.tasks.pop(partition)
        try:
            task.drain()
        except (FencedError, TornError, UnavailableError) as error:
            self._count(unit, error)
            self._report(unit.place(partition), error)
        finally:
            task.close()
            self._forget(unit.place(partition))
        _LOG.info("%s released", unit.place(partition))

    def _report(self, where: str, error: RiverrunError) -> None:
        self.trouble = f"{where}: {error}"
        _LOG.warning("%s: %s", where, error)
        if isinstance(error, UnavailableError):
            self._deployment.observer.meter.counter(metrics.RETRIES, error.dependency.value).add()
        self._find(where, {Degradation.RECOVERING: str(error), degradation_of(error): str(error)})

    def leave(self) -> None:
        """Drain and release all tasks, then leave the groups.

        A drain that fails for good keeps nobody in a group: who stayed would hold partitions that nobody works on.
        """
        try:
            with ExitStack() as leaving:
                for unit in reversed(self._units):
                    leaving.callback(unit.membership.close)
                    for partition in reversed(list(unit.tasks)):
                        leaving.callback(self._release, unit, partition)
        finally:
            self._units.clear()

    @property
    def joined(self) -> bool:
        """Whether the groups of all chains are joined."""
        return len(self._units) == len(self._chains)

    def partitions(self) -> dict[str, tuple[int, ...]]:
        """Return the partitions at work, by the name of the chain."""
        return {unit.name: tuple(sorted(unit.tasks)) for unit in list(self._units)}

    def tasks(self) -> list[Task]:
        """Return the tasks at work, for progress displays."""
        return [task for unit in self._units for task in list(unit.tasks.values())]
