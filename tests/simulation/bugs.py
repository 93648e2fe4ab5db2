"""Bugs planted on purpose: what the runtime would be without one of its cares."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from riverrun.drift.monitor import Monitor, MonitorState
from riverrun.models.store import ModelStore
from riverrun.records.items import LABELLED, Event, Example, Item, Prediction
from riverrun.records.topics import Kind
from riverrun.runtime import task
from riverrun.runtime.chain import Chain
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.fence import Taken, _Fence, fence
from riverrun.runtime.history import History
from riverrun.runtime.inputs import Entry
from riverrun.runtime.intake import Intake
from riverrun.runtime.link import Link
from riverrun.runtime.ports import Headers, PartialEntry, Writer
from riverrun.runtime.runner import StageRunner
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.task import Task
from riverrun.testing.memory_clients import MemoryWriter
from riverrun.testing.partial_store import MemoryPartialStore
from services.drift.core import DriftCore
from services.features.core import FeaturesCore
from services.features.state import FeatureState
from services.ingest.core import IngestCore
from services.labels.core import LabelsCore
from services.learn.state import LearnState

__all__ = ["BUGS", "FOUND"]

Plant = Callable[[pytest.MonkeyPatch], None]


def positions_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """The positions of a batch are committed before its outputs."""
    transact = Task._transact

    def first_positions(self: Task, chain: Chain, intake: Intake, writer: Writer, entries: list[Entry]) -> None:
        reached = {entry.cursor: entry.next for entry in entries}
        writer.begin()
        for runner in chain.runners:
            progress = runner.progress(self.partition, self.transactional_id, {}, {})
            for place in progress.inputs:
                name = f"{place.topic}/{place.partition}/{place.writer}"
                place.next = max(place.next, reached.get(name, 0))
            key, value = self._deployment.wire.encode_progress(progress)
            writer.send(self._deployment.topology.names[Kind.PROGRESS], self.partition, key, value, ())
        writer.commit({}, "")
        transact(self, chain, intake, writer, entries)

    patch.setattr(Task, "_transact", first_positions)


def random_transactional_id(patch: pytest.MonkeyPatch) -> None:
    """Every writer has an id of its own, so nobody fences anybody."""
    numbers = itertools.count()
    patch.setattr(Deployment, "transactional_id", lambda self, stage, partition: f"{stage}-{next(numbers)}")


def unguarded_partial_store_write(patch: pytest.MonkeyPatch) -> None:
    """The last write wins, not the newest."""

    def put(self: MemoryPartialStore, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        held = self.shelf.entries.setdefault((partition, group), {})
        held.update({entry.entity: entry for entry in entries})
        return len(entries)

    patch.setattr(MemoryPartialStore, "put", put)


def pointer_before_the_file(patch: pytest.MonkeyPatch) -> None:
    """A model's record is sent at once, its file stored with the next flush."""
    write, flush = ModelStore.write, LearnState.flush
    pending: list[Callable[[], object]] = []

    def write_later(self: ModelStore, pipeline: str, model: str, position: int, digest: str, content: bytes) -> str:
        path = write(self, pipeline, model, position, digest, content)
        if not model.startswith("_"):
            self.delete([path])
            pending.append(lambda: write(self, pipeline, model, position, digest, content))
        return path

    def flush_files_first(self: LearnState, positions: Mapping[str, int]) -> Sequence[Item]:
        while pending:
            pending.pop()()
        return flush(self, positions)

    patch.setattr(ModelStore, "write", write_later)
    patch.setattr(LearnState, "flush", flush_files_first)


class _FencedLate:
    """A writer that fences its predecessors when it first writes."""

    def __init__(self, deployment: Deployment, definitions: Sequence[StageDefinition], partition: int) -> None:
        self._fence = deployment, definitions, partition
        self._writer: Writer | None = None

    def _opened(self) -> Writer:
        if self._writer is None:
            self._writer = fence(*self._fence).writer
        return self._writer

    def open(self) -> None:
        """Do nothing yet."""

    def begin(self) -> None:
        self._opened().begin()

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        self._opened().send(topic, partition, key, value, headers)

    def first_offset(self, topic: str, partition: int) -> int:
        return self._opened().first_offset(topic, partition)

    def confirmed_ends(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return self._opened().confirmed_ends(places)

    def commit(self, offsets: Mapping[tuple[str, int], int], group: str) -> None:
        self._opened().commit(offsets, group)

    def abort(self) -> None:
        self._opened().abort()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def tail_read_before_fencing(patch: pytest.MonkeyPatch) -> None:
    """What was committed is read while others may still commit."""

    def fence_late(deployment: Deployment, definitions: Sequence[StageDefinition], partition: int) -> Taken:
        progress = deployment.topology.names[Kind.PROGRESS]
        names = [definition.name for definition in definitions]
        history = History(deployment.log, deployment.wire, (progress, partition), names)
        return Taken(_FencedLate(deployment, definitions, partition), history, defaultdict(int))

    patch.setattr(task, "fence", fence_late)


def deposed_leaders_believed(patch: pytest.MonkeyPatch) -> None:
    """Topics are taken to end where whatever broker was asked says that they do."""
    follow = History.follow

    def credulous(self: History, reaching: int = 0) -> None:
        del reaching
        follow(self)

    def unconfirmed(self: MemoryWriter, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        del self
        return dict.fromkeys(places, 0)

    patch.setattr(History, "follow", credulous)
    patch.setattr(MemoryWriter, "confirmed_ends", unconfirmed)


def watermark_going_back(patch: pytest.MonkeyPatch) -> None:
    """The watermark of the features is not restored."""
    resume = FeaturesCore.resume

    def resume_without(self: FeaturesCore, counters: Mapping[str, int], watermark: int) -> None:
        del watermark
        self._table.watermark = 0
        resume(self, counters, 0)

    patch.setattr(FeaturesCore, "resume", resume_without)


def label_used_twice(patch: pytest.MonkeyPatch) -> None:
    """Now and then a label makes two examples."""
    step = LabelsCore.step

    def twice(self: LabelsCore, item: Prediction | Event) -> Sequence[Item]:
        made = step(self, item)
        again = [replace(each) for each in made if isinstance(each, Example) and each.outcome == LABELLED]
        return [*made, *again] if item.seq % 5 == 0 else made

    patch.setattr(LabelsCore, "step", twice)


def duplicate_check_forgotten_at_restore(patch: pytest.MonkeyPatch) -> None:
    """The ids accepted since the state was stored are not remembered again."""
    patch.setattr(IngestCore, "replay", lambda self, item: None)


def torn_outputs_made_again(patch: pytest.MonkeyPatch) -> None:
    """What a torn transaction left is written once more."""

    def forgetful(self: Link, topic: str, partition: int, writer: int, next_seq: int, durable: int) -> None:
        del durable
        make(self, topic, partition, writer, next_seq, next_seq)

    make = Link.__init__
    patch.setattr(Link, "__init__", forgetful)


def torn_order_chosen_again(patch: pytest.MonkeyPatch) -> None:
    """What a torn transaction left of ingest's order is counted, but folded again in whatever order comes."""

    def forget(self: Chain, runner: StageRunner) -> list[Item]:
        return []

    patch.setattr(Chain, "_take_over", forget)


def replaced_member_deletes(patch: pytest.MonkeyPatch) -> None:
    """A member that finds its stored partials useless deletes them whoever wrote them."""

    def wipe(self: FeatureState) -> None:
        for group in self._plan.groups:
            names = [(entry.entity, 1 << 50) for entry in self._store.scan(self._partition, group.id)]
            self._store.delete(self._partition, group.id, names)

    patch.setattr(FeatureState, "_wipe", wipe)


def deaf_to_wipes(patch: pytest.MonkeyPatch) -> None:
    """A partial store that lost everything is written on as if nothing had been."""
    mark = MemoryPartialStore.mark

    def always(self: MemoryPartialStore, partition: int, position: int) -> bool:
        if partition not in self.shelf.markers:
            self.reset(partition, position)
        mark(self, partition, position)
        return True

    patch.setattr(MemoryPartialStore, "mark", always)


def event_folded_before_its_vector(patch: pytest.MonkeyPatch) -> None:
    """A vector sees its own event."""
    vector = FeaturesCore._vector

    def too_late(self: FeaturesCore, event: Event) -> object:
        self._table.update(event.stream, event.fields, event.time, event.seq)
        return vector(self, event)

    patch.setattr(FeaturesCore, "_vector", too_late)


def drift_restored_one_record_short(patch: pytest.MonkeyPatch) -> None:
    """What came after drift's stored state is folded again from one record too late."""

    def late(self: DriftCore, item: Prediction | Example) -> None:
        writer = item.writer if isinstance(item, Example) else self.settings.partition
        if item.seq > self._next.get(writer, 0):
            self.step(item)

    patch.setattr(DriftCore, "replay", late)


def drift_told_again(patch: pytest.MonkeyPatch) -> None:
    """That something is known to have moved is not restored, so it is told once more."""
    restore = Monitor.restore

    def forgetful(self: Monitor, state: MonitorState) -> None:
        restore(self, {**state, "alarms": []})

    patch.setattr(Monitor, "restore", forgetful)


def fenced_once_for_all(patch: pytest.MonkeyPatch) -> None:
    """An id that was fenced is taken to stay so, though another may open it meanwhile."""
    exclude = _Fence._exclude

    def once(self: _Fence, transactional_ids: set[str]) -> bool:
        before = fenced.setdefault(self, set())
        new = transactional_ids - before
        before |= transactional_ids
        return exclude(self, new)

    fenced: dict[_Fence, set[str]] = {}
    patch.setattr(_Fence, "_exclude", once)


BUGS: Sequence[Plant] = (
    positions_before_the_commit,
    random_transactional_id,
    unguarded_partial_store_write,
    pointer_before_the_file,
    tail_read_before_fencing,
    deposed_leaders_believed,
    watermark_going_back,
    label_used_twice,
    duplicate_check_forgotten_at_restore,
    torn_outputs_made_again,
    deaf_to_wipes,
    event_folded_before_its_vector,
    drift_restored_one_record_short,
    drift_told_again,
)
FOUND: Sequence[Plant] = (replaced_member_deletes, torn_order_chosen_again, fenced_once_for_all)
"""Bugs that the runtime really had until a simulation showed them."""
