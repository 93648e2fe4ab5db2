"""Puts the alerts service of a connected pipeline together, and runs it."""

from __future__ import annotations

import os

from riverrun.adapters.kafka_bookmark import KafkaBookmark
from riverrun.adapters.kafka_groups import check_group
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.adapters.kafka_properties import KafkaTuning
from riverrun.embedded.addresses import Addresses
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from services.alerts.app import AlertsApp, application_id
from services.alerts.channels import channel_of
from services.alerts.outbox import Outbox, OutboxPorts
from services.alerts.permissions import check_permissions

__all__ = ["run_alerts"]

_TUNING = KafkaTuning(
    read_buffer_kb=1_024,
    # Many readers of little: each may wait long for a fetch that finds nothing.
    fetch_wait_ms=200,
    # What Faust's client can read without another package.
    compression="gzip",
)


def run_alerts(deployment: Deployment, addresses: Addresses) -> int:
    """Run until a signal.

    Raises
    ------
    RiverrunError
        If the servers or the settings do not allow it.
    """
    properties = dict(addresses.kafka)
    # Faust makes its own folder, but none above it.
    deployment.settings.data_folder.mkdir(parents=True, exist_ok=True)
    log = KafkaLog(properties, _TUNING)
    topic = deployment.topology.names[Kind.ALERTS]
    ports = OutboxPorts(
        log=log,
        wire=deployment.wire,
        topic=topic,
        pipeline=deployment.pipeline.name,
        bookmark=lambda group: KafkaBookmark(properties, group, topic, 0),
        channel=lambda subscription: channel_of(subscription, os.environ),
        meter=deployment.observer.meter,
    )
    app = AlertsApp(deployment, log, properties, Outbox(ports))
    made, name = app.topics(), application_id(deployment.pipeline.name)
    log.ensure_topics(made)
    signals = deployment.topology.names[Kind.ALERT_SIGNALS]
    read = [signals, *(spec.name for spec in made)]
    check_group(properties, name)
    check_permissions(log, name, read)
    app.run()
    return 0
