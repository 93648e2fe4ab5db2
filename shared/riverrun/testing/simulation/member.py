"""A member of a simulated deployment: a worker that can be killed and frozen at any point of its work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from riverrun.errors import UnavailableError
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import KeyValueStore, PartialStore, Record
from riverrun.runtime.stage import SideInput, Stage, StageContext, StageDefinition
from riverrun.runtime.worker import Worker
from riverrun.testing.failpoints import Failpoints, Killed, PointedLog, PointedPartials, PointedStore
from riverrun.testing.memory_disk import MemoryDisk
from riverrun.testing.memory_group import MemoryMembership
from riverrun.testing.memory_log import MemoryLog
from riverrun.testing.small_world import Layout, SmallWorld

__all__ = ["Habitat", "Member"]


class Habitat(Protocol):
    """Where a member lives: what it is deployed on."""

    log: MemoryLog
    small: SmallWorld

    def deploy(self, log: PointedLog) -> Deployment:
        """Return a deployment on a member's own view of the log."""
        ...

    def client(self) -> PartialStore:
        """Return a client of the partial store."""
        ...


class Member:
    """A worker in its own process, as it were.

    Parameters
    ----------
    habitat
        Where it lives.
    layout
        The chains that it runs.
    disk
        Of its machine.
    """

    def __init__(self, habitat: Habitat, layout: Layout, disk: MemoryDisk) -> None:
        self.layout = layout
        self.points = Failpoints()
        self._log = PointedLog(habitat.log, self.points)
        self._memory = habitat.log
        self._disk = disk
        self._stores: list[KeyValueStore] = []
        self._sides: list[SideInput] = []
        self._joined = False
        deployment = replace(
            habitat.deploy(self._log),
            partials=lambda: PointedPartials(habitat.client(), self.points),
            stores=self._open,
        )
        chains = habitat.small.chains(layout)
        self._worker = Worker(deployment, [[self._settling(stage) for stage in chain] for chain in chains])

    def _open(self, folder: Path) -> KeyValueStore:
        store = self._disk.open(folder)
        self._stores.append(store)
        return PointedStore(store, self.points)

    def _settling(self, definition: StageDefinition) -> StageDefinition:
        """Let a stage's side input take effect at once: its thread would bring in chance."""

        def build(context: StageContext) -> Stage:
            stage = definition.build(context)
            if stage.side is not None:
                stage.side = _Settled(stage.side)
                self._sides.append(stage.side)
            return stage

        return replace(definition, build=build)

    def round(self) -> bool:
        """Let it work for a round; return whether there was anything to do."""
        if not self._joined:
            try:
                self._worker.join()
            except UnavailableError:
                return False
            self._joined = True
        return self._worker.round()

    def kill(self, at: int) -> None:
        """Let it work, and kill it at its ``at``-th point, or after two rounds."""

        def kill(name: str) -> None:
            del name
            raise Killed

        self.points.arm(at, kill)
        with suppress(Killed):
            self.round()
            self.round()
        self.bury()

    def interrupt(self, at: int, then: Callable[[], None]) -> None:
        """Let it work for a round, and do something at its ``at``-th point."""
        self.points.arm(at, lambda name: then())
        self.round()
        self.points.disarm()

    def stop(self) -> None:
        """Stop it as SIGTERM does."""
        self._worker.leave()
        self.bury()

    def expire(self) -> None:
        """Let its groups take it for dead; it goes on believing what it owned until it polls."""
        for membership in self._log.memberships:
            if isinstance(membership, MemoryMembership):
                self._memory.expire_member(membership)

    def bury(self) -> None:
        """Let go of what a dead process lets go of: its files' locks, its threads, in time its memberships."""
        self.points.disarm()
        self.expire()
        for store in self._stores:
            store.close()
        for side in self._sides:
            side.close()


class _Settled:
    """A side input that has always taken in what it was offered."""

    __slots__ = ("_side",)

    def __init__(self, side: SideInput) -> None:
        self._side = side

    @property
    def topic(self) -> str:
        return self._side.topic

    def offer(self, record: Record) -> None:
        self._side.offer(record)
        self._side.settle()

    def settle(self) -> None:
        self._side.settle()

    def close(self) -> None:
        self._side.close()
