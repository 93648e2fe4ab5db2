"""Delivers a subscription's messages one after the other, each until it is taken: a pure loop over ports.

What is to be delivered lies in a log; how far it has been is a bookmark. So nothing is lost when the receiver, or this
process, is away, and what was delivered just before a kill is delivered once more, with the same id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from riverrun.delivery.messages import Channel, Message, Result
from riverrun.runtime.backoff import Backoff
from riverrun.runtime.ports import Reader, Record

__all__ = ["Bookmark", "Courier", "Pace"]

_LOG = logging.getLogger("riverrun.delivery")
_BATCH: Final = 100


class Bookmark(Protocol):
    """Where a subscription has got to; survives the process."""

    def load(self) -> int:
        """Return the offset of the first record that is not dealt with; 0 if none was."""
        ...

    def save(self, offset: int) -> None:
        """Keep it."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How a courier passes its time; all times in seconds.

    Parameters
    ----------
    wait
        Waits so long, or less if the courier is to stop; returns whether it is.
    monotonic
        A clock.
    first_wait, most_wait
        Bounds of the exponential wait after a failure.
    give_up
        After how long one message is left behind, with an error in the log.
    poll
        How long to wait for new records at once.
    """

    wait: Callable[[float], bool]
    monotonic: Callable[[], float] = time.monotonic
    first_wait: float = 0.5
    most_wait: float = 60.0
    give_up: float = 72 * 3600.0
    poll: float = 0.5


@dataclass(slots=True)
class Courier:
    """Brings the records of a log to one receiver, in order.

    Parameters
    ----------
    name
        What the log calls it.
    channel
        The way there.
    select
        Makes the message of a record; None if it is not for this receiver.
    bookmark
        Where it has got to.
    pace
        Times.

    Attributes
    ----------
    gone
        Whether the receiver said that it wants nothing any more.
    """

    name: str
    channel: Channel
    select: Callable[[Record], Message | None]
    bookmark: Bookmark
    pace: Pace
    gone: bool = False

    def run(self, reader: Reader) -> None:
        """Deliver until told to stop, or the receiver is gone.

        Parameters
        ----------
        reader
            Stands at the bookmark.

        Raises
        ------
        LogUnavailableError
            If the log or the bookmark cannot be read or written: begin again at the bookmark.
        """
        while not self.pace.wait(0.0):
            records = reader.poll(_BATCH, self.pace.poll)
            kept = -1
            for record in records:
                message = self.select(record)
                if message is None:
                    continue
                if not self._bring(message):
                    return
                kept = record.offset + 1
                self.bookmark.save(kept)
            if records and kept != records[-1].offset + 1:
                self.bookmark.save(records[-1].offset + 1)

    def _bring(self, message: Message) -> bool:
        """Try until it is delivered, or left behind; return False if it is neither."""
        begun = self.pace.monotonic()
        waits = Backoff(self.pace.first_wait, self.pace.most_wait)
        failures = 0
        while True:
            outcome = self.channel.deliver(message)
            if outcome.result is Result.DELIVERED:
                if failures:
                    _LOG.info("%s took %s after %d attempts", self.name, message.id, failures + 1)
                return True
            if outcome.result is Result.GONE:
                _LOG.error("subscription %s ends: %s", self.name, outcome.why)
                self.gone = True
                return False
            # The first failure is news; while it goes on, one line per message is enough.
            _LOG.log(logging.DEBUG if failures else logging.WARNING, "%s: %s", self.name, outcome.why)
            failures += 1
            if self.pace.monotonic() - begun >= self.pace.give_up:
                _LOG.error("%s: %s is left behind after %d attempts: %s", self.name, message.id, failures, outcome.why)
                return True
            if self.pace.wait(max(waits.next(), outcome.wait)):
                return False
