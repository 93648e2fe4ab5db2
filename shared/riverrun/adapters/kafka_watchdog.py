"""Calls the Kafka client within a limit of our own, for calls that do not keep to theirs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import KafkaException

from riverrun.runtime.ports import LogUnavailableError

__all__ = ["within"]


def within(limit: float, what: str, call: Callable[[], object]) -> None:
    """Make a call and wait for it, but no longer than the limit.

    A call that is given up goes on in a thread of its own, perhaps for ever: the client that it was made on
    must not be used again.

    Parameters
    ----------
    limit
        Seconds.
    what
        What the call does, for the message.
    call
        Makes it.

    Raises
    ------
    KafkaException
        What the call raised.
    LogUnavailableError
        If it did not return in time.
    """
    outcome: Future[object] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except KafkaException as error:
            outcome.set_exception(error)

    # A daemon: the process must be able to end though the call never does.
    threading.Thread(target=run, name="riverrun-watched", daemon=True).start()
    try:
        outcome.result(limit)
    except FutureTimeoutError:
        raise LogUnavailableError(f"{what}: no answer within {limit:g} s") from None
