"""Follows a topic's partition in a thread, from its start: for views of the log that are kept in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from riverrun.errors import AccessDeniedError, RiverrunError, UnavailableError
from riverrun.runtime.ports import Log, Reader, Record

__all__ = ["TopicFollower"]

_LOG: Final = logging.getLogger(__name__)
_LIMIT: Final = 500
_WAIT_S: Final = 0.5
_PAUSE_S: Final = 1.0


class TopicFollower:
    """Hands every record of a partition to a function, in order, as it is committed.

    A record that the function cannot take (it raises a `RiverrunError`) is logged and passed over. When the log is
    away, or does not let it read any longer, the follower waits and goes on where it was.

    Parameters
    ----------
    log
        Where to read.
    topic, partition
        What to read.
    offer
        Takes the records, in the follower's thread.

    Attributes
    ----------
    trouble
        Why it cannot read on at present; empty while all is well.
    """

    def __init__(self, log: Log, topic: str, offer: Callable[[Record], None], partition: int = 0) -> None:
        self.trouble = ""
        self._log = log
        self._topic = topic
        self._partition = partition
        self._offer = offer
        self._next = 0
        self._denied: AccessDeniedError | None = None
        self._stopping = threading.Event()
        self._caught_up = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"riverrun-follow-{topic}", daemon=True)
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until all that was there at the start was handed over, or so many seconds; return whether it was.

        Raises
        ------
        AccessDeniedError
            If the topic may not be read.
        """
        self._answered.wait(timeout)
        if self._denied is not None and not self._caught_up.is_set():
            raise self._denied
        return self._caught_up.is_set()

    @property
    def is_current(self) -> bool:
        """Whether the end was reached once, and reading goes on."""
        return self._caught_up.is_set() and not self.trouble

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                reader = self._log.reader(self._topic, self._partition, self._next)
                try:
                    self._follow(reader)
                finally:
                    reader.close()
            except (AccessDeniedError, UnavailableError) as error:
                if not self.trouble:
                    _LOG.warning("%s cannot be followed for now: %s", self._topic, error)
                self.trouble = str(error)
                if isinstance(error, AccessDeniedError):
                    self._denied = error
                    self._answered.set()
                self._stopping.wait(_PAUSE_S)

    def _follow(self, reader: Reader) -> None:
        while not self._stopping.is_set():
            for record in reader.poll(_LIMIT, _WAIT_S):
                self._take(record)
            self.trouble = ""
            if reader.at_end:
                self._caught_up.set()
                self._answered.set()

    def _take(self, record: Record) -> None:
        try:
            self._offer(record)
        except (AccessDeniedError, UnavailableError):
            # Not the record's fault: it is read again.
            raise
        except RiverrunError as error:
            _LOG.warning("%s[%d]@%d is passed over: %s", record.topic, record.partition, record.offset, error)
        self._next = record.offset + 1
