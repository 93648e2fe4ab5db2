"""Runs the HTTP gateway of a pipeline file as a process: connects its parts, and serves them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import uvloop

import schemas
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.adapters.kafka_properties import KafkaTuning
from riverrun.adapters.kafka_publisher import KafkaPublisher
from riverrun.adapters.redis_lookup import RedisLookup, check_access
from riverrun.api_keys import KeyChecker, KeyFile, key_file_path
from riverrun.delivery.destinations import allowed_hosts
from riverrun.errors import AccessDeniedError, RiverrunError, UnavailableError
from riverrun.events.decode import EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.events.streams import streams_of
from riverrun.features import FeaturePlan
from riverrun.features.lookup import FeatureLookup
from riverrun.launch.archive import LogArchive
from riverrun.launch.connect import registry_adapter
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.launch.process import EXIT_FAILED, EXIT_USAGE, exit_code_of
from riverrun.launch.session import Session, open_session
from riverrun.launch.telemetry import Telemetry
from riverrun.models import rehearsal
from riverrun.models.follower import FollowerSettings, ModelFollower
from riverrun.models.modelset import build_models
from riverrun.models.store import ModelStore
from riverrun.records.definition import PipelineSchemas
from riverrun.records.ids import ManifestIds, SchemaIds
from riverrun.records.topics import Kind
from riverrun.runtime.model_settings import code_hash, code_modules, model_keys
from riverrun.runtime.settings import Settings
from riverrun.runtime.topic_follower import TopicFollower
from riverrun.runtime.tracing import RequestTracing
from riverrun.telemetry.health import Report
from services.gateway.admission import Admission, Limits
from services.gateway.answering import Answering, Champion
from services.gateway.app import create_app
from services.gateway.asking import Asking
from services.gateway.gate import Gate, Tally
from services.gateway.parts import Parts
from services.gateway.readiness import RememberedReadiness
from services.gateway.registry import KnownSchemas, Registry
from services.gateway.server import GatewayServer, configure
from services.gateway.settings import GatewaySettings
from services.gateway.trace_context import TracedRequests
from services.gateway.views import AlertsView, ModelsView, offer_schema

__all__ = ["make_gate", "make_parts", "run_gateway", "serve"]

_LOG: Final = logging.getLogger("riverrun.gateway")
_SETTLE_S: Final = 60.0
_READY_S: Final = 10.0
# Views may be a quarter of a second behind; an idle broker is not to be asked fifty times a second for each.
_FOLLOWING: Final = KafkaTuning(fetch_wait_ms=250)


class _Readiness:
    """Asks Redis for a sign of life, and the followers whether they read on."""

    def __init__(self, lookup: RedisLookup, followers: Sequence[TopicFollower], models: ModelFollower) -> None:
        self._lookup = lookup
        self._followers = followers
        self._models = models

    async def troubles(self) -> dict[str, str]:
        """Return what is wrong, by the part that it is wrong with."""
        found: dict[str, str] = {}
        try:
            await self._lookup.check()
        except UnavailableError:
            found["redis"] = "there are no features: predictions are refused"
        if not all(follower.is_current for follower in self._followers):
            found["kafka"] = "the log is not read: models and alerts may be old, events are refused"
        if self._models.trouble:
            found["models"] = "the newest published model cannot be used: the last good one is"
        return found


def make_gate(parts: Parts, settings: Settings) -> Gate:
    """Return the application.

    Raises
    ------
    RiverrunError
        If the keys do not allow it.
    """
    return create_app(parts, KeyChecker(KeyFile(key_file_path(settings.data_folder))))


def make_parts(
    session: Session, settings: Settings, gateway: GatewaySettings, tracing: RequestTracing | None = None
) -> Parts:
    """Return what the application of a connected pipeline is made of; called in the event loop that it will run in.

    Raises
    ------
    RiverrunError
        If the models or the settings do not allow it, or Kafka does not let this user read what is needed.
    """
    deployment, pipeline = session.deployment, session.deployment.pipeline
    codecs, properties = deployment.wire.codecs, dict(session.addresses.kafka)
    bounds = IngestSettings.from_environment()
    place = Place(0, 1)
    limits = Limits(gateway.max_items, bounds.max_text, bounds.max_message_bytes)
    admissions = {
        stream.schema.name: Admission(stream, EventDecoder(stream, deployment.ids, place, bounds), limits)
        for stream in streams_of(pipeline, codecs.streams)
    }
    loader = ModelFollower(
        build_models(pipeline.models, pipeline.task),
        ModelStore(settings.model_store_url),
        model_keys(settings.data_folder),
        FollowerSettings(
            pipeline.name,
            codecs.feature_set,
            code_modules(pipeline),
            limits=rehearsal.Limits(settings.model_memory_mb),
            code_hash=code_hash(pipeline),
        ),
    )
    lookup = RedisLookup(session.addresses.redis_url, pipeline.name)
    publisher = KafkaPublisher(properties, timeout_ms=gateway.kafka_timeout_ms)
    models, alerts = ModelsView(codecs, loader), AlertsView(codecs)
    log = KafkaLog(properties, _FOLLOWING)
    names = deployment.topology.names
    followers = [
        TopicFollower(log, names[Kind.MODELS], models.offer),
        TopicFollower(log, names[Kind.ALERTS], alerts.offer),
        TopicFollower(log, names[Kind.ALERT_COMMANDS], alerts.offer_command),
    ]
    ids, brought = deployment.ids, schemas_of(pipeline)
    if isinstance(ids, ManifestIds):
        followers.append(TopicFollower(log, names[Kind.SCHEMAS], offer_schema(ids)))

    def close() -> None:
        for follower in followers:
            follower.close()
        publisher.close()
        lookup.close()
        loader.close()
        log.close()

    # Who is told "ready" at the first request may ask for anything: if Kafka is up, every view has caught up by then.
    patience_ends = time.monotonic() + _SETTLE_S
    try:
        for follower in followers:
            follower.wait(max(0.0, patience_ends - time.monotonic()))
    except AccessDeniedError:
        close()
        raise
    loader.settle()
    return Parts(
        pipeline=pipeline,
        schemas=brought,
        codecs=codecs,
        admissions=admissions,
        answering=Answering(
            pipeline.feature_names,
            FeatureLookup(FeaturePlan.compile(pipeline), deployment.topology.partitions),
            lookup,
            Champion(loader.current),
            publisher,
        ),
        publisher=publisher,
        models=models,
        alerts=alerts,
        registry=_registry(deployment.ids, brought),
        archive=LogArchive(deployment, session.addresses),
        asking=Asking(),
        readiness=RememberedReadiness(_Readiness(lookup, followers, loader)),
        settings=gateway,
        allowed_hosts=allowed_hosts(os.environ),
        tally=Tally(),
        traced=TracedRequests(tracing),
        close=close,
    )


def _registry(ids: SchemaIds, brought: PipelineSchemas) -> Registry:
    """Return what knows the pipeline's schemas: its registry, if it has one."""
    if isinstance(ids, ManifestIds):
        return KnownSchemas(ids, ids.entries)
    # A caller sees the pipeline's own subjects there: whatever else this process may read is another's.
    own = {*(stream.subject for stream in brought.streams), brought.vector_subject}
    own |= {line.subject for line in schemas.manifest()}
    adapter = registry_adapter()
    reader: Registry = adapter.RegistryReader(adapter.RegistrySettings.from_environment(), own)
    return reader


async def serve(session: Session, settings: Settings, gateway: GatewaySettings) -> int:
    """Serve until a signal; return the exit code.

    Raises
    ------
    RiverrunError
        As `make_parts` does, if Redis does not let this user look features up, or if OpenTelemetry is asked for and
        not installed.
    """
    name = session.deployment.pipeline.name
    check_access(session.addresses.redis_url, name)
    telemetry = Telemetry(name, ["gateway"])
    parts = make_parts(session, settings, gateway, telemetry.requests)
    server = GatewayServer(configure(make_gate(parts, settings), gateway))
    with telemetry.living(parts.samples, _ready(parts)):
        _LOG.info("serving pipeline %s at http://%s:%d", name, gateway.host, gateway.port)
        await server.serve()
    return 0 if server.started else EXIT_FAILED


def _ready(parts: Parts) -> Callable[[], Report]:
    """Return what tells, from any thread, whether the gateway that runs in this loop works."""
    loop = asyncio.get_running_loop()

    def ready() -> Report:
        troubles = asyncio.run_coroutine_threadsafe(parts.readiness.troubles(), loop).result(_READY_S)
        return Report(well=not troubles, document={"ready": not troubles, "troubles": troubles})

    return ready


def run_gateway(arguments: Sequence[str]) -> int:
    """Run the gateway from the command line: ``FILE``; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m services.gateway FILE\n")
        return EXIT_USAGE
    try:
        settings, gateway = Settings.from_environment(), GatewaySettings.from_environment()
        with open_session(Path(arguments[0]), settings) as session:
            return uvloop.run(serve(session, settings, gateway))
    except RiverrunError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code_of(error)
