"""Connects a pipeline to its servers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType

from confluent_kafka import KafkaError, KafkaException, Message, Producer

import schemas
from riverrun.adapters.kafka_errors import unavailable
from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.adapters.kafka_properties import KafkaTuning
from riverrun.adapters.redis_partials import RedisPartials
from riverrun.adapters.rocks_store import StoreSizes, open_slot
from riverrun.embedded.addresses import Addresses
from riverrun.errors import RiverrunError, UnavailableError
from riverrun.launch.failpoint import read_failpoint
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.launch.schema_topic import SchemaLedger, manifest_ids
from riverrun.pipeline import Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.ids import Entry, SchemaIds
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import PartialStore, TopicSpec
from riverrun.runtime.settings import Settings
from riverrun.runtime.topology import Topology
from riverrun.runtime.wire import Wire

__all__ = ["connect", "registry_adapter"]

_PUBLISH_TIMEOUT_S = 30.0
_PATIENCE_S = 5.0
_TAIL_TIMEOUT_S = KafkaTuning().tail_timeout


def connect(
    pipeline: Pipeline,
    addresses: Addresses,
    settings: Settings,
    *,
    partitions: int = 1,
    patience_s: float = _PATIENCE_S,
    tail_timeout_s: float = _TAIL_TIMEOUT_S,
) -> Deployment:
    """Return the pipeline on its servers; creates its own topics.

    Parameters
    ----------
    pipeline
        A pipeline that passes `riverrun check`.
    addresses
        Where Kafka and Redis are.
    settings
        Of the runtime.
    partitions
        For producers' topics that the embedded broker does not have yet.
    patience_s
        How long a broker may take to answer the first question, in seconds: a wrong address should be told soon.
    tail_timeout_s
        How long whoever reads a topic's end waits for open transactions, in seconds.

    Raises
    ------
    RiverrunError
        If producers' topics are missing (on a broker that is not ours) or differ in their number of partitions.
    UnavailableError
        If a server cannot be reached.
    """
    properties = dict(addresses.kafka)
    memory = settings.memory
    log = KafkaLog(
        properties,
        KafkaTuning(
            read_buffer_kb=memory.read_buffer >> 10,
            write_buffer_kb=memory.write_buffer >> 10,
            tail_timeout=tail_timeout_s,
        ),
    )
    log.check(patience_s)
    if addresses.embedded:
        log.ensure_topics(
            [TopicSpec(stream.topic, partitions) for stream in pipeline.streams if log.partitions(stream.topic) == 0]
        )
    topology = Topology(pipeline.name, _common_partitions(log, pipeline))
    log.ensure_topics(topology.specs())
    ids = _schema_ids(log, topology, properties, settings)
    codecs = Codecs(schemas_of(pipeline), ids)
    return Deployment(
        pipeline=pipeline,
        log=log,
        ids=ids,
        wire=Wire(codecs),
        settings=settings,
        partials=lambda: _partials(addresses.redis_url, pipeline.name),
        stores=lambda folder: open_slot(folder, StoreSizes(memory.block_cache, memory.memtable))[0],
        topology=topology,
        reach=read_failpoint(os.environ),
    )


def _partials(url: str, pipeline: str) -> PartialStore:
    return RedisPartials.connect(url, pipeline)


def _common_partitions(log: KafkaLog, pipeline: Pipeline) -> int:
    counts = {stream.topic: log.partitions(stream.topic) for stream in pipeline.streams}
    missing = sorted(topic for topic, count in counts.items() if count == 0)
    if missing:
        raise RiverrunError(
            f"these producers' topics do not exist: {', '.join(missing)}",
            hint="create them, all with the same number of partitions",
        )
    if len(set(counts.values())) > 1:
        raise RiverrunError(
            f"the producers' topics differ in their partitions: {_listed(counts)}",
            hint="events are joined by partition, so all of a pipeline's topics must have the same number",
        )
    return next(iter(counts.values()))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{topic} has {count}" for topic, count in sorted(counts.items()))


def _schema_ids(log: KafkaLog, topology: Topology, properties: Mapping[str, str], settings: Settings) -> SchemaIds:
    registry = _registry_ids()
    if registry is not None:
        return registry
    topic = topology.names[Kind.SCHEMAS]

    @cache
    def connected() -> Producer:
        # One for all, made when there is something to be told: a new pipeline tells of one id after another. Until a
        # broker is connected the client cannot ask for its own id, and tries again half a second later.
        producer = kafka_producer(properties)
        producer.list_topics(topic, timeout=_PUBLISH_TIMEOUT_S)
        return producer

    def publish(pairs: Sequence[tuple[bytes, bytes]]) -> None:
        refused: list[KafkaError] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            del message
            if error is not None:
                refused.append(error)

        try:
            producer = connected()
            for key, value in pairs:
                producer.produce(topic, value, key, 0, delivered)
        except KafkaException as error:
            raise unavailable(f"cannot write to the topic {topic}", error) from error
        if producer.flush(_PUBLISH_TIMEOUT_S) > 0:
            raise UnavailableError(f"cannot write to the topic {topic}", hint="is Kafka up?")
        if refused:
            raise unavailable(f"cannot write to the topic {topic}", KafkaException(refused[0]))

    fixed = [Entry(line.subject, line.id, line.schema) for line in schemas.manifest()]
    ledger = SchemaLedger(settings.data_folder / "schemas.jsonl", publish)
    return manifest_ids(fixed, ledger, log, topic)


def registry_adapter() -> ModuleType:
    """Return the module of a registry's client, imported now.

    That takes a tenth of a second, which every start without a registry would wait for.
    """
    return import_module("riverrun.adapters.schema_registry")


def _registry_ids() -> SchemaIds | None:
    if not os.environ.get("SCHEMA_REGISTRY_URL", "").strip():
        return None
    adapter = registry_adapter()
    ids: SchemaIds = adapter.RegistryIds(adapter.RegistrySettings.from_environment())
    return ids
