"""How short a group member's session may be: the brokers have a say in it."""

from __future__ import annotations

import logging
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigEntry, ConfigResource

__all__ = ["shortest_session_ms"]

_LOG: Final = logging.getLogger("riverrun.kafka")
_MINIMUM: Final = "group.min.session.timeout.ms"
_USUAL_MINIMUM_MS: Final = 6_000
"""Kafka's default: what is assumed of brokers that do not tell."""


def shortest_session_ms(admin: AdminClient, wanted_ms: int, timeout: float) -> int:
    """Return the shortest session, not shorter than what is wanted, that the brokers allow.

    A member that asks for a shorter one is refused, so it is asked first. Whoever may not ask (it takes the right to
    describe the cluster's configuration), or gets no answer, keeps to Kafka's default.

    Parameters
    ----------
    admin
        Connected to the cluster.
    wanted_ms
        In milliseconds.
    timeout
        How long to wait for an answer, in seconds.
    """
    if wanted_ms >= _USUAL_MINIMUM_MS:
        return wanted_ms
    try:
        brokers = admin.list_topics(timeout=timeout).brokers
        resource = ConfigResource(ConfigResource.Type.BROKER, str(next(iter(brokers))))
        (answer,) = admin.describe_configs([resource], request_timeout=timeout).values()
        entry: ConfigEntry = answer.result(timeout)[_MINIMUM]
        minimum = int(entry.value or "")
    except (KafkaException, FutureTimeoutError, LookupError, StopIteration, ValueError) as error:
        _LOG.info("the brokers do not tell %s (%s): sessions last %d ms", _MINIMUM, error, _USUAL_MINIMUM_MS)
        return _USUAL_MINIMUM_MS
    finally:
        admin.poll(0)
    return max(wanted_ms, minimum)
