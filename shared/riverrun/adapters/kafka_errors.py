"""Tells librdkafka's errors apart: another writer took over, the log is away, or it heals by itself.

Errors are told by name: those that the client makes up itself have names that begin with an underscore.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from riverrun.errors import AccessDeniedError
from riverrun.runtime.ports import FencedError, LogUnavailableError

__all__ = [
    "DENIED",
    "ELECTING",
    "END_OF_PARTITION",
    "EXISTS",
    "FENCED",
    "FORGOTTEN",
    "HEALS",
    "OUT_OF_RANGE",
    "REFUSED",
    "TIMED_OUT",
    "UNKNOWN_TOPIC",
    "denied",
    "error_of",
    "heals",
    "unavailable",
    "writer_error",
]

END_OF_PARTITION: Final = "_PARTITION_EOF"
"""Not an error: the reader is at the last stable offset."""

OUT_OF_RANGE: Final = "_AUTO_OFFSET_RESET"
"""The broker does not have the offset that the reader is at."""

EXISTS: Final = "TOPIC_ALREADY_EXISTS"
"""Somebody else created the topic first."""

ELECTING: Final = frozenset({"NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE"})
"""The partition's leader is not known, or does not know yet that it is."""

TIMED_OUT: Final = "_TIMED_OUT"
"""The client itself waits no longer."""

UNKNOWN_TOPIC: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"})
"""The topic does not exist."""

FENCED: Final = frozenset({"_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"})
"""The transactional id has a newer epoch than the writer."""

FORGOTTEN: Final = frozenset({"_UNKNOWN_PARTITION", "_UNKNOWN_TOPIC"})
"""The client's cache lacks the partition. It may be wrong: a broker that came back may have told it so."""

DENIED: Final = frozenset(
    {
        "CLUSTER_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "SASL_AUTHENTICATION_FAILED",
        "TOPIC_AUTHORIZATION_FAILED",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        "_AUTHENTICATION",
    }
)
"""The user is not known, or may not do this: the operator must act, not the client."""

REFUSED: Final = DENIED | frozenset(
    {
        "INCONSISTENT_GROUP_PROTOCOL",
        "INVALID_GROUP_ID",
        "INVALID_SESSION_TIMEOUT",
        "_FATAL",
    }
)
"""A member will not be let into its group, however long it waits."""

HEALS: Final = ELECTING | frozenset(
    {
        "_TRANSPORT",
        "_ALL_BROKERS_DOWN",
        "_RESOLVE",
        "_TIMED_OUT",
        "_TIMED_OUT_QUEUE",
        "_WAIT_COORD",
        "_NODE_UPDATE",
        "_DESTROY_BROKER",
        "REPLICA_NOT_AVAILABLE",
        "BROKER_NOT_AVAILABLE",
        "OFFSET_NOT_AVAILABLE",
        "FENCED_LEADER_EPOCH",
        "UNKNOWN_LEADER_EPOCH",
        "COORDINATOR_NOT_AVAILABLE",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "NOT_COORDINATOR",
        "REQUEST_TIMED_OUT",
        "NETWORK_EXCEPTION",
        # A reader never joins a group: to be refused the name that the client insists on does not matter.
        "GROUP_AUTHORIZATION_FAILED",
    }
)
"""What a reader hears of while the client reconnects and retries on its own."""


def error_of(exception: BaseException | None) -> KafkaError | None:
    """Return the Kafka error that an exception carries, if it does."""
    if isinstance(exception, KafkaException) and exception.args:
        error: object = exception.args[0]
        if isinstance(error, KafkaError):
            return error
    return None


def heals(error: KafkaError) -> bool:
    """Tell whether a reader may wait for the client to mend this by itself."""
    return error.name() in HEALS and not error.fatal()


def unavailable(what: str, exception: BaseException) -> LogUnavailableError | AccessDeniedError:
    """Return the exception to raise when ``what`` failed."""
    error = error_of(exception)
    if error is not None and error.name() in DENIED:
        return denied(what, error)
    return LogUnavailableError(f"{what}: {_describe(exception)}")


def denied(what: str, error: KafkaError) -> AccessDeniedError:
    """Return the exception to raise when Kafka does not let this user do ``what``."""
    return AccessDeniedError(
        f"{what}: Kafka does not permit it to this user ({error.name()}: {error.str()})",
        hint="`riverrun access FILE` tells what each service needs",
    )


def writer_error(
    transactional_id: str, what: str, exception: BaseException
) -> FencedError | LogUnavailableError | AccessDeniedError:
    """Classify what a transactional producer raised.

    Kafka fences a writer whose transaction it has timed out in the same way as one that was replaced: the two
    look alike, and both mean that nothing more of it will be committed.
    """
    error = error_of(exception)
    if error is not None and error.name() in FENCED:
        return FencedError(
            f"the writer {transactional_id!r} was fenced ({what}: {_describe(exception)})",
            hint="another member opened it, or a transaction outlived transaction.timeout.ms",
        )
    return unavailable(f"{what}, writer {transactional_id!r}", exception)


def _describe(exception: BaseException) -> str:
    error = error_of(exception)
    return str(exception) if error is None else f"{error.name()}: {error.str()}"
