"""The Faust application: an agent that folds the signals, tables that keep its state, and what runs beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import faust

from riverrun.errors import AccessDeniedError, RiverrunError
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import FencedError, Log, Record, TopicSpec
from services.alerts.alert_log import AlertLog
from services.alerts.broker import broker_settings
from services.alerts.fold import Fold
from services.alerts.intake import IntakePace, intake_of
from services.alerts.outbox import Outbox
from services.alerts.prompt_start import PromptConsumer, PromptTables, visible_end
from services.alerts.stop_limit import EXIT_DENIED, LimitedWorker, end_now, log_faust_from
from services.alerts.tables import PARTS, StateTables

__all__ = ["AlertsApp", "application_id"]

_LOG = logging.getLogger("riverrun.alerts")
_BATCH: Final = 1_000
_WITHIN_S: Final = 0.1
_SAVE_EVERY_S: Final = 1.0
_MOST_STATE: Final = 16 * 1024 * 1024
"""Bytes of a part of the state: a hundred subscriptions as long as can be, or some thousands of open incidents.

A broker takes 1 MB unless it is told otherwise, and what cannot be saved ends the service: at each start again."""

_CHANGELOG: Final = {
    # A start reads all that is not compacted yet, and the segment that is written to never is: by default it is there
    # for a week, with a state a second.
    "segment.ms": "60000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.message.bytes": str(_MOST_STATE),
}
_SESSION_S: Final = 6.0

INSTANCE: Final = "RIVERRUN_ALERTS_INSTANCE"
"""Setting: this process's name among those that run the alerts, unique and lasting, such as a pod's.

One that comes back under its name takes over at once, instead of when its predecessor's session has run out."""


def application_id(pipeline: str) -> str:
    """Return Faust's id of a pipeline's alerts: its consumer group, and the prefix of its changelog topics."""
    return f"riverrun.{pipeline}.alerts"


class AlertsApp:
    """The alerts service of one pipeline.

    Whoever is given the one partition of the signals topic folds it, runs the intake and delivers; others stand by.

    Parameters
    ----------
    deployment
        The pipeline on its log.
    log
        The same log, with clients that suit a low rate.
    properties
        librdkafka's, for Faust's own connections.
    outbox
        Delivers alerts.
    """

    def __init__(self, deployment: Deployment, log: Log, properties: Mapping[str, str], outbox: Outbox) -> None:
        self._deployment = deployment
        self._log = log
        self._outbox = outbox
        self._stop = threading.Event()
        self._intake: threading.Thread | None = None
        self._signals = deployment.topology.names[Kind.ALERT_SIGNALS]
        name = deployment.pipeline.name
        alerts = AlertLog(
            log,
            deployment.wire,
            (deployment.topology.names[Kind.ALERTS], f"riverrun.{name}.alerts.0"),
            self._stop.wait,
            deployment.reach,
            deployment.observer.meter,
        )
        self._fold = Fold(deployment.pipeline, log, self._signals, deployment.wire.codecs.decode, alerts)
        self._generation = -1
        self._opens = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._failure: RiverrunError | None = None
        self._saved_at = 0.0
        # The writer is for one thread, and Faust's loop must not wait for a broker.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="riverrun-alerts")
        self.app: Any = faust.App(
            application_id(name),
            **broker_settings(properties),
            store="memory://",
            processing_guarantee="exactly_once",
            consumer_auto_offset_reset="earliest",
            topic_partitions=1,
            topic_disable_leader=True,
            broker_session_timeout=_SESSION_S,
            broker_heartbeat_interval=_SESSION_S / 4,
            # A commit gets no further than to the end of one of the intake's transactions, of which there are four a
            # second: with fewer commits Faust would fall behind, and keep what it has not committed in memory.
            broker_commit_interval=0.1,
            producer_max_request_size=_MOST_STATE,
            table_standby_replicas=0,
            TableManager=PromptTables,
            consumer_group_instance_id=os.environ.get(INSTANCE) or None,
            web_enabled=False,
            datadir=str(deployment.settings.data_folder / "faust"),
        )
        self.app.transport.Consumer = PromptConsumer.knowing(partial(visible_end, log))
        # Of one partition, chosen by the key: a batch has no current event whose partition could be taken.
        tables = {part: self.app.Table(part, partitions=1, use_partitioner=True) for part in PARTS}
        self._tables = StateTables(tables, deployment.reach)
        topic = self.app.topic(
            self._signals, key_serializer="raw", value_serializer="raw", partitions=1, allow_empty=True
        )
        self.app.agent(topic, name="fold")(self._consume)
        self.app.on_partitions_assigned.connect(self._on_assigned)
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self.app.on_rebalance_complete.connect(self._on_recovered)

    def topics(self) -> list[TopicSpec]:
        """Return what Faust needs to be there: made by us, since it would make them with one replica."""
        name = self.app.conf.id
        return [TopicSpec(f"{name}-{part}-changelog", 1, compacted=True, config=_CHANGELOG) for part in PARTS]

    async def _consume(self, stream: Any) -> None:
        async for events in stream.take_events(_BATCH, within=_WITHIN_S):
            await self._take([event.message for event in events])

    async def _take(self, messages: Sequence[Any]) -> None:
        loop = asyncio.get_running_loop()
        generation = messages[0].generation_id
        try:
            await self._open(generation)
            written = await loop.run_in_executor(self._thread, self._fold.take, [_record(each) for each in messages])
        except FencedError as error:
            await self.app.crash(error)
            return
        except AccessDeniedError as error:
            # No retry can mend it, and Faust's way to its end is long. Servers that deny anything are never those that
            # this process has started and has to stop.
            _LOG.error("%s", error)
            end_now(EXIT_DENIED)
        if written:
            _LOG.info("%d alert(s)", written)
        self._outbox.refresh(self._fold.subscriptions())
        now = time.monotonic()
        saved = self._fold.saved()
        if saved is not None and now - self._saved_at >= _SAVE_EVERY_S:
            self._saved_at = now
            self._tables.save(saved)

    async def _open(self, generation: int) -> None:
        """Shut out a predecessor, and begin with what the tables hold, once in each generation of the group."""
        async with self._opens:
            if generation == self._generation and self._fold.is_open:
                return
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._fold.open, self._tables.load())
            self._generation = generation

    async def _open_early(self) -> None:
        try:
            await self._open(self.app.consumer_generation_id)
        except FencedError as error:
            await self.app.crash(error)
        except RiverrunError as error:
            # It is met again with the first signal.
            _LOG.warning("not yet: %s", error)

    def _reads(self, places: Iterable[Any]) -> bool:
        """Tell whether the signals are among these partitions."""
        return any(place.topic == self._signals for place in places)

    async def _on_recovered(self, sender: Any, **rest: Any) -> None:
        """Open now that the tables are there, while the intake opens, and not only with the first that it brings.

        At the start only: later on signals are being taken, and whoever takes them opens between two batches.
        """
        del sender, rest
        if self._reads(self.app.consumer.assignment()) and self._opening is None and self._generation < 0:
            # Faust waits for whom it tells.
            self._opening = asyncio.create_task(self._open_early())

    async def _on_assigned(self, sender: Any, assigned: Any, **rest: Any) -> None:
        del sender, rest
        if self._reads(assigned) and self._intake is None:
            self._intake = threading.Thread(target=self._run_intake, name="riverrun-alerts-intake", daemon=True)
            self._intake.start()

    async def _on_revoked(self, sender: Any, revoked: Any, **rest: Any) -> None:
        del sender, rest
        if self._reads(revoked):
            _LOG.info("the signals are another's for now")

    def _run_intake(self) -> None:
        pace = IntakePace(self._stop.wait, time.monotonic)
        try:
            intake_of(self._deployment, self._log, pace).run()
        except RiverrunError as error:
            self._failure = error
        finally:
            if not self._stop.is_set():
                # Without it nothing would come in, and nobody would know: whoever keeps us starts us anew.
                os.kill(os.getpid(), signal.SIGTERM)

    def run(self) -> None:
        """Run until a signal.

        Raises
        ------
        RiverrunError
            If another process has taken over, or Kafka refuses something for good.
        """
        limit_s = self._deployment.settings.drain_limit_ms / 1000
        worker = LimitedWorker(self.app, limit_s, redirect_stdouts=False, override_logging=False)
        log_faust_from(logging.WARNING)
        # While a broker is away it writes a hundred lines a second; our own clients say the same, with restraint.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        try:
            worker.execute()
        finally:
            self._stop.set()
            self._outbox.stop()
            if self._failure is not None:
                raise self._failure


def _record(message: Any) -> Record:
    headers = message.headers
    listed = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
    milliseconds = round(message.timestamp * 1000)
    return Record(message.topic, message.partition, message.offset, milliseconds, message.key, message.value, listed)
