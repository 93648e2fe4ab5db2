"""The worker: runs tasks for the partitions that group membership gives it, and survives what can go wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from riverrun.errors import RiverrunError, UnavailableError
from riverrun.runtime.backoff import Backoff
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import FencedError, Membership, TornError
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.task import Task

_LOG = logging.getLogger("riverrun.worker")
_IDLE_FIRST = 0.001
_IDLE_MOST = 0.02


@dataclass(slots=True)
class Unit:
    """A chain of stages and this member's share of its partitions."""

    definitions: tuple[StageDefinition, ...]
    membership: Membership
    rejoin: Backoff
    tasks: dict[int, Task] = field(default_factory=dict)
    waits: dict[int, Backoff] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The chain's stages, for people."""
        return "+".join(definition.name for definition in self.definitions)


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
    """

    def __init__(self, deployment: Deployment, chains: Sequence[Sequence[StageDefinition]]) -> None:
        self._deployment = replace(deployment, heartbeat=self.heartbeat)
        self._chains = [tuple(chain) for chain in chains]
        self._units: list[Unit] = []
        self._stopping = threading.Event()
        self.trouble = ""
        self.ready = threading.Event()

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
        wait = Backoff.of(self._deployment.settings)
        while not self._stopping.is_set() and len(self._units) < len(self._chains):
            try:
                self.join()
            except UnavailableError as error:
                self._report("starting", error)
                self._stopping.wait(wait.next())
        idle = _IDLE_FIRST
        try:
            while not self._stopping.is_set():
                if self.round():
                    idle = _IDLE_FIRST
                else:
                    self._stopping.wait(idle)
                    idle = min(idle * 1.5, _IDLE_MOST)
        finally:
            self.leave()

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
        for unit in self._units:
            unit.membership.poll()

    def round(self) -> bool:
        """Let every task that this member has now fold one batch; return whether any did.

        Raises
        ------
        RiverrunError
            What no retry can mend.
        """
        busy = False
        for unit in self._units:
            try:
                owned = unit.membership.poll()
            except UnavailableError as error:
                self._report(unit.name, error)
                self._rejoin(unit)
                continue
            for partition in [number for number in unit.tasks if number not in owned]:
                self._release(unit, partition)
            for partition in sorted(owned):
                busy |= self._work(unit, partition)
        return busy

    def _rejoin(self, unit: Unit) -> None:
        """Come back as a new member; whether what was owned still is, nobody can tell, so it is let go of."""
        now = self._deployment.clocks.monotonic()
        if now < unit.rejoin.until:
            return
        unit.rejoin.until = now + unit.rejoin.next()
        for partition in list(unit.tasks):
            unit.tasks.pop(partition).close()
        unit.membership.close()
        try:
            unit.membership = self._membership(unit.definitions)
        except UnavailableError as error:
            self._report(unit.name, error)

    def _work(self, unit: Unit, partition: int) -> bool:
        now = self._deployment.clocks.monotonic()
        wait = unit.waits.get(partition)
        if wait is not None and now < wait.until:
            return False
        task = unit.tasks.get(partition)
        try:
            if task is None:
                task = unit.tasks[partition] = Task(unit.definitions, self._deployment, partition)
                task.open()
                self.ready.set()
                _LOG.info("%s[%d] runs", unit.name, partition)
            busy = task.run_once()
        except (FencedError, TornError, UnavailableError) as error:
            self._report(f"{unit.name}[{partition}]", error)
            self._fail(unit, partition, now)
            return False
        if busy and wait is not None:
            del unit.waits[partition]
        self.trouble = task.trouble
        return busy

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
            self._report(f"{unit.name}[{partition}]", error)
        finally:
            task.close()
        _LOG.info("%s[%d] released", unit.name, partition)

    def _report(self, where: str, error: RiverrunError) -> None:
        self.trouble = f"{where}: {error}"
        _LOG.warning("%s: %s", where, error)

    def leave(self) -> None:
        """Drain and release all tasks, then leave the groups."""
        for unit in self._units:
            for partition in list(unit.tasks):
                self._release(unit, partition)
            unit.membership.close()
        self._units.clear()

    def tasks(self) -> list[Task]:
        """Return the tasks at work, for progress displays."""
        return [task for unit in self._units for task in list(unit.tasks.values())]
