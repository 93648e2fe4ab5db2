"""Plays a script: interleaves members and faults on the in-memory log, watches, and heals everything at the end."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from riverrun.models.store import ModelStore
from riverrun.pipeline import Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.ids import ManifestIds
from riverrun.records.items import ModelVersion
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Clocks, Deployment
from riverrun.runtime.ports import PartialStore
from riverrun.runtime.settings import Settings
from riverrun.testing.failpoints import PointedLog
from riverrun.testing.memory_disk import MemoryDisk
from riverrun.testing.memory_log import Failure, MemoryLog
from riverrun.testing.simulation.close_watch import STAGES, WATCHED
from riverrun.testing.simulation.member import Member
from riverrun.testing.simulation.script import LAYOUTS, Action, Message, Script
from riverrun.testing.simulation.watched_store import WatchedStore
from riverrun.testing.small_pipeline import make_pipeline
from riverrun.testing.small_world import SmallWorld, make_codecs

__all__ = ["SNAPSHOT_EVERY", "Play", "Published"]

SNAPSHOT_EVERY: Final = 5
_DISKS: Final = 2
_MOST_MEMBERS: Final = 3
_IDLE_ROUNDS: Final = 12
_MOST_ROUNDS: Final = 600
_NUMBERS = itertools.count()


class Published(NamedTuple):
    """A message at its place in a producers' topic."""

    topic: str
    partition: int
    offset: int
    message: Message


@cache
def _made(*, labels_default: bool, watched: bool) -> tuple[Pipeline, tuple[ManifestIds, Codecs]]:
    pipeline = make_pipeline(
        "sim",
        otherwise=False if labels_default else None,
        snapshot_every=SNAPSHOT_EVERY,
        drift=WATCHED if watched else None,
    )
    return pipeline, make_codecs(pipeline)


class Play:
    """One simulation.

    Parameters
    ----------
    script
        What happens.
    folder
        For the key that signs models; it may be shared by any number of simulations.

    Attributes
    ----------
    published
        What producers sent.
    wrongs
        What was seen to be wrong on the way.
    disks
        The machines' local stores.
    disk_lost
        Whether one of them ever was.
    """

    def __init__(self, script: Script, folder: Path) -> None:
        self.published: list[Published] = []
        self.wrongs: list[str] = []
        self.log = MemoryLog(transaction_timeout_ms=10_000)
        self.store = WatchedStore(self.wrongs)
        self.model_store = f"memory://simulation-{next(_NUMBERS)}"
        settings = Settings(
            data_folder=folder,
            model_store=self.model_store,
            batch_limit=script.batch_limit,
            state_interval_ms=20,
            backoff_most_ms=500,
        )
        pipeline, codecs = _made(labels_default=script.labels_default, watched=script.watched)
        self.small = SmallWorld(pipeline, codecs, script.partitions, self.log, settings, STAGES)
        self.disks = [MemoryDisk() for _ in range(_DISKS)]
        self.disk_lost = False
        self._script = script
        self._clocks = Clocks(lambda: self.log.now / 1000, lambda: 0.0)
        self._members: list[Member] = []
        self._layout = LAYOUTS[script.partitions][0]
        self._models = ModelStore(self.model_store)
        self._models_seen = 0

    def deploy(self, log: PointedLog) -> Deployment:
        """Return a deployment on a member's own view of the log."""
        return self.small.deployment(self.client, self.disks[0].open, log=log, clocks=self._clocks)

    def client(self) -> PartialStore:
        """Return a client of the partial store."""
        return self.store.client()

    def run(self) -> None:
        """Play all actions, then heal what was broken and let everything be folded."""
        for action in self._script.actions:
            self._play(action)
            self._watch_models()
        self._heal()

    def close(self) -> None:
        """Free the memory of the model store."""
        name = self.small.pipeline.name
        for model in (*(model.name for model in self.small.pipeline.models), "_checkpoints"):
            self._models.prune(name, model, keep=0)

    # What may happen. Each method is a kind of action.

    def _play(self, action: Action) -> None:
        kind, who, at, messages = action
        if kind == "publish":
            self._publish(messages)
        elif kind == "round":
            self._member(who).round()
            self.log.advance(7)
        elif kind == "advance":
            self.log.advance(at)
        elif kind == "tear":
            self._tear(action)
        elif kind == "cut":
            self._cut(action)
        elif kind in ("kill", "freeze", "release"):
            self._interrupt(action)
        elif kind in ("start", "stop", "layout"):
            self._reorganise(action)
        else:
            self._break(action)

    def _publish(self, messages: tuple[Message, ...]) -> None:
        for message in messages:
            topic, partition = self.small.topic(message.stream), self.small.partition(message.who)
            offset = self.log.append(topic, partition, message.value, key=message.who.encode())
            self.published.append(Published(topic, partition, offset, message))

    def _member(self, who: int) -> Member:
        if not self._members:
            self._start(who)
        return self._members[who % len(self._members)]

    def _start(self, who: int) -> None:
        if len(self._members) < _MOST_MEMBERS:
            self._members.append(Member(self, self._layout, self.disks[who % _DISKS]))

    def _interrupt(self, action: Action) -> None:
        kind, who, at, _ = action
        member = self._member(who)
        if kind == "kill":
            self._members.remove(member)
            member.kill(at)
        elif kind == "freeze":
            member.interrupt(at, lambda: self._replace(member, who))
        else:
            member.interrupt(at, self._release)
        self.log.advance(7)

    def _tear(self, action: Action) -> None:
        """Delay a commit so that it ends the next transaction in the midst of it."""
        _, who, at, messages = action
        member = self._member(who)
        half = len(messages) // 2
        member.round()
        self.log.advance(40)
        self._publish(messages[:half])
        self.log.hold_commit(noticed=False)
        for _ in range(2):
            member.round()
            self.log.advance(40)
        self._publish(messages[half:])
        member.interrupt(at, self._release)

    def _cut(self, action: Action) -> None:
        """Cut leaders off for a while: a member goes on, is killed, and its successor is told what was before."""
        _, who, at, _ = action
        topics = sorted(spec.name for spec in self.small.topology.specs())
        names = [topic for place, topic in enumerate(topics) if at >> place % 6 & 1]
        # The commit records, most often: they are what an opening believes first.
        progress = [self.small.topology.names[Kind.PROGRESS]] if who % 3 else []
        self.log.cut_off({*names, *progress}, 60 << who)
        self._interrupt(Action("kill", who, at))
        self._start(who)
        self._member(who).round()

    def _replace(self, member: Member, who: int) -> None:
        """Let others do a frozen member's work."""
        if who % 3:
            member.expire()
        self._start(who + 1)
        for _ in range(1 + who % 4):
            for other in self._members:
                if other is not member:
                    other.round()
            self.log.advance(30)

    def _release(self) -> None:
        self.log.release_commits()

    def _reorganise(self, action: Action) -> None:
        kind, who, at, _ = action
        if kind == "start":
            self._start(who)
        elif kind == "stop":
            member = self._member(who)
            self._members.remove(member)
            member.stop()
        else:
            # Some of the old ones stop as they should, some are killed, some live on beside the new ones.
            self._layout = LAYOUTS[self._script.partitions][at]
            for member in self._members[who % 2 :]:
                self._members.remove(member)
                if who % 3:
                    member.stop()
                else:
                    member.bury()
            self._start(who)

    def _break(self, action: Action) -> None:
        kind, who, at, _ = action
        if kind == "hold":
            self.log.hold_commit(noticed=who % 2 == 0)
        elif kind == "fail":
            self.log.fail_next(list(Failure)[at], 1 + who % 2)
        elif kind == "wipe":
            self.store.wipe()
        elif kind == "store":
            self.store.outage.available = not self.store.outage.available
        elif kind == "lose":
            self.disks[who % _DISKS].lose()
            self.disk_lost = True

    def _watch_models(self) -> None:
        """Every record that points at a model must be there after the model."""
        topic = self.small.topology.names[Kind.MODELS]
        end = self.log.high_watermark(topic, 0) if not self.log.fails(Failure.LOOK_UP) else self._models_seen
        if end == self._models_seen:
            return
        for record in self.log.records(topic, 0):
            if record.offset >= self._models_seen:
                item, _ = self.small.codecs.from_wire(record.value, list(record.headers))
                if isinstance(item, ModelVersion) and item.uri not in self._stored(item.model):
                    self.wrongs.append(f"version {item.position} of {item.model} was published but not stored")
                self._models_seen = record.offset + 1

    def _stored(self, model: str) -> set[str]:
        return {entry.path for entry in self._models.entries(self.small.pipeline.name, model)}

    def _heal(self) -> None:
        self.log.heal()
        self.log.release_commits()
        self.store.outage.available = True
        for member in list(self._members):
            if member.layout != self._layout:
                self._members.remove(member)
                member.bury()
        if not self._members:
            self._start(0)
        idle = rounds = 0
        while idle < _IDLE_ROUNDS:
            busy = [member.round() for member in self._members]
            if any(busy):
                idle = 0
                self.log.advance(7)
            else:
                idle += 1
                self.log.advance(1_000)
            rounds += 1
            if rounds > _MOST_ROUNDS:
                self.wrongs.append("healed, it works on and on and comes to no end")
                return
        for member in self._members:
            member.stop()
        self._watch_models()
