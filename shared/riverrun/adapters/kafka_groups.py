"""Asks whether a consumer group may be joined, without joining it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_errors import unavailable
from riverrun.adapters.kafka_properties import KafkaProperties

__all__ = ["check_group"]

_TIMEOUT_S: Final = 10.0


def check_group(properties: Mapping[str, object], group: str) -> None:
    """Look whether this user may use a group; whether it exists does not matter.

    Parameters
    ----------
    properties
        librdkafka's properties.
    group
        The group.

    Raises
    ------
    AccessDeniedError
        If the user may not.
    LogUnavailableError
        If the brokers do not say.
    """
    admin = AdminClient({}, **KafkaProperties(dict(properties)).admin(), logger=ClientLog())
    (asked,) = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S).values()
    try:
        asked.result(_TIMEOUT_S)
    except (KafkaException, TimeoutError) as error:
        raise unavailable(f"cannot use the consumer group {group}", error) from error
