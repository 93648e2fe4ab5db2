"""The small pipeline on a log: what a deployment is put together from, and producers to feed it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import schemas
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.ids import Entry, ManifestIds
from riverrun.records.items import Progress
from riverrun.records.murmur2 import partition_of
from riverrun.runtime.deployment import Clocks, Deployment
from riverrun.runtime.ports import KeyValueStore, Log, PartialStore, Record, TopicSpec
from riverrun.runtime.settings import Settings
from riverrun.runtime.stage import StageDefinition
from riverrun.runtime.topology import Topology
from riverrun.runtime.wire import Wire
from services.catalogue import STAGES

__all__ = ["SmallWorld", "answered", "asked", "layout_of", "make_codecs"]

Layout = tuple[tuple[str, ...], ...]
"""Chains of stages, by name."""


def make_codecs(pipeline: Pipeline) -> tuple[ManifestIds, Codecs]:
    """Return schema ids that are kept nowhere, and the codecs with them."""
    fixed = [Entry(line.subject, line.id, line.schema) for line in schemas.manifest()]
    ids = ManifestIds(fixed, [], lambda entry: None)
    return ids, Codecs(schemas_of(pipeline), ids)


def layout_of(text: str) -> Layout:
    """Read a layout.

    Examples
    --------
    >>> layout_of("ingest+features score")
    (('ingest', 'features'), ('score',))
    """
    return tuple(tuple(chain.split("+")) for chain in text.split())


def asked(number: int, who: str, place: str, at: int, size: float) -> bytes:
    """Return an event that asks for a prediction, as JSON."""
    return json.dumps({"id": f"a{number}", "who": who, "place": place, "at": at, "size": size}).encode()


def answered(number: int, who: str, place: str, at: int, worth: float) -> bytes:
    """Return an event that brings a label, as JSON."""
    return json.dumps({"id": f"b{number}", "who": who, "place": place, "at": at, "worth": worth}).encode()


class _RememberingWire(Wire):
    """Decodes each commit record once: every start reads all of them, and simulations start often."""

    __slots__ = ("_progress",)

    def __init__(self, codecs: Codecs) -> None:
        super().__init__(codecs)
        self._progress: dict[bytes, Progress] = {}

    def progress(self, record: Record) -> Progress:
        """Decode a commit record."""
        known = self._progress.get(record.value or b"")
        if known is None:
            known = self._progress[record.value or b""] = super().progress(record)
        return known


class SmallWorld:
    """A pipeline, its topics, and how members of it are deployed.

    Parameters
    ----------
    pipeline, codecs
        As ``make_pipeline`` and ``make_codecs`` return them.
    partitions
        Of the producers' topics, which are created here.
    log
        Where everything goes.
    settings
        Of the runtime.
    stages
        By name.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        codecs: tuple[ManifestIds, Codecs],
        partitions: int,
        log: Log,
        settings: Settings,
        stages: Mapping[str, StageDefinition] = STAGES,
    ) -> None:
        self.pipeline = pipeline
        self.partitions = partitions
        self.log = log
        self.settings = settings
        self.topology = Topology(pipeline.name, partitions)
        self.ids, self.codecs = codecs
        self._stages = stages
        self.wire: Wire = _RememberingWire(self.codecs)
        log.ensure_topics([TopicSpec(stream.topic, partitions) for stream in pipeline.streams])
        log.ensure_topics(self.topology.specs())

    def deployment(
        self,
        partials: Callable[[], PartialStore],
        stores: Callable[[Path], KeyValueStore],
        *,
        log: Log | None = None,
        settings: Settings | None = None,
        clocks: Clocks | None = None,
    ) -> Deployment:
        """Return what one member works with."""
        return Deployment(
            pipeline=self.pipeline,
            log=self.log if log is None else log,
            ids=self.ids,
            wire=self.wire,
            settings=self.settings if settings is None else settings,
            partials=partials,
            stores=stores,
            topology=self.topology,
            clocks=Clocks() if clocks is None else clocks,
        )

    def partition(self, who: str) -> int:
        """Return the partition that a key's records belong in."""
        return partition_of(who.encode(), self.partitions)

    def topic(self, stream: str) -> str:
        """Return the producers' topic of a stream."""
        return f"{self.pipeline.name}-raw.{stream}"

    def chains(self, layout: Layout) -> Sequence[Sequence[StageDefinition]]:
        """Return the definitions of a layout's stages."""
        return [[self._stages[name] for name in chain] for chain in layout]
