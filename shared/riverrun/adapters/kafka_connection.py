"""Takes librdkafka's log lines: passes them on with restraint, and learns from them of broken connections.

librdkafka has no KIP-890: a request to end a transaction that was delayed on a broken connection, and
silently retried, may be carried out a second time, on the next transaction. No callback or error tells of it
(the retry succeeds), and statistics come only at intervals; the log line is queued before the retry can be
answered.
"""

from __future__ import annotations

import logging
import time
from typing import Final

__all__ = ["ClientLog", "ConnectionLog"]

_LOG = logging.getLogger("riverrun.kafka")
_CONNECTION: Final = frozenset({"FAIL", "ERROR"})
_COORDINATOR: Final = "TxnCoordinator"
_CREDENTIALS: Final = "SASL authentication error"
_QUIET: Final = 30.0


class ClientLog:
    """Passes the lines of any number of clients on to the logger ``riverrun.kafka``.

    While a broker is away, each client reports dozens of failed connections a second; while a transaction of its
    predecessor is being ended, hundreds of attempts. Of these, and of lines that are the same, one in half a minute is
    passed on as it is, so that the outage is seen; the others are for debugging. Lines are delivered while a client is
    polled.

    Attributes
    ----------
    refused
        Whether a broker has refused the credentials: nothing else tells of it, as the client just tries again.
    """

    __slots__ = ("_quiet_until", "_said", "refused")

    def __init__(self) -> None:
        self._quiet_until = 0.0
        # What was said last, by facility, and until when it is not to be said again.
        self._said: dict[object, tuple[object, float]] = {}
        self.refused = False

    def log(self, level: int, message: str, *args: object) -> None:
        """Take a line: ``args`` are the facility, the client's name and the text."""
        if not args:
            _LOG.log(level, message)
            return
        now = time.monotonic()
        if args[0] in _CONNECTION:
            self.refused = self.refused or _CREDENTIALS in str(args[-1])
            level = logging.DEBUG if now < self._quiet_until else logging.WARNING
            if level == logging.WARNING:
                self._quiet_until = now + _QUIET
        else:
            text, until = self._said.get(args[0], ("", 0.0))
            if text == args[-1] and now < until:
                level = logging.DEBUG
            else:
                self._said[args[0]] = args[-1], now + _QUIET
        _LOG.log(level, message, *args)


class ConnectionLog:
    """Notes when a transactional producer's connection to its coordinator breaks, and passes lines on.

    ``broken`` is sticky, and must be: librdkafka does not repeat an identical line within 30 s, so after the
    first break later ones may go unheard.
    """

    __slots__ = ("_lines", "broken")

    def __init__(self, lines: ClientLog) -> None:
        self.broken = False
        self._lines = lines

    def log(self, level: int, message: str, *args: object) -> None:
        """Take a line: ``args`` are the facility, the client's name and the text."""
        if len(args) > 2 and args[0] in _CONNECTION and _COORDINATOR in str(args[2]):
            self.broken = True
        self._lines.log(level, message, *args)
