"""Writes alerts to their topic, each once: what is there already is not written again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from riverrun.records.items import Alert
from riverrun.runtime import metrics
from riverrun.runtime.backoff import Backoff
from riverrun.runtime.failpoints import Failpoint, Reach, nowhere
from riverrun.runtime.meter import Meter
from riverrun.runtime.ports import Log, LogUnavailableError, TornError, Writer
from riverrun.runtime.wire import Wire

__all__ = ["AlertLog"]

_LOG = logging.getLogger("riverrun.alerts")
_KEPT: Final = 10_000
"""How far back alerts are known where the fold goes on from a state: no more are ever told twice by that."""
_ALL: Final = 1 << 40


class AlertLog:
    """The alerts topic, as the fold writes to it.

    Parameters
    ----------
    log
        Where the topic is.
    wire
        Encodes alerts.
    place
        Its name, and the transactional id that shuts out a predecessor.
    wait
        Waits so many seconds; returns whether to give up.
    reach
        Called at the points before and after a commit.
    meter
        Counts what is written.
    """

    def __init__(
        self,
        log: Log,
        wire: Wire,
        place: tuple[str, str],
        wait: Callable[[float], bool],
        reach: Reach = nowhere,
        meter: Meter | None = None,
    ) -> None:
        self._log = log
        self._meter = meter or Meter()
        self._reach = reach
        self._wire = wire
        self._topic, self._id = place
        self._wait = wait
        self._writer: Writer | None = None
        self._known: dict[str, None] = {}
        self._kept = _KEPT
        self._next = 0

    def open(self, *, whole: bool = False) -> None:
        """Shut out a predecessor, and see what the topic holds.

        Parameters
        ----------
        whole
            Whether the fold begins anew, so that any alert of the topic may be told again: then all are known.

        Raises
        ------
        FencedError, LogUnavailableError
            If that cannot be done.
        """
        self.close()
        if whole:
            self._kept = _ALL
        self._writer = self._log.writer(self._id)
        self._writer.open()
        # Only now: whoever wrote before cannot add to it any more.
        end = self._writer.confirmed_ends([(self._topic, 0)])[self._topic, 0]
        items = [self._wire.item(record) for record in self._log.tail(self._topic, 0, self._kept, reaching=end)]
        alerts = [item for item in items if isinstance(item, Alert)]
        self._known = dict.fromkeys(alert.id for alert in alerts)
        self._next = alerts[-1].seq + 1 if alerts else 0

    def write(self, alerts: Sequence[Alert]) -> int:
        """Write what is not there yet, in one transaction; return how many that were.

        Waits for a broker that is away.

        Raises
        ------
        FencedError
            If another has taken over.
        LogUnavailableError
            If it was told to give up.
        """
        waits = Backoff(0.2, 5.0)
        while True:
            try:
                if self._writer is None:
                    self.open()
                return self._try(alerts)
            except (LogUnavailableError, TornError) as error:
                # Whether it was committed is seen when the topic is read again.
                self.close()
                _LOG.warning("cannot write alerts, trying again: %s", error)
                if self._wait(waits.next()):
                    raise LogUnavailableError(f"gave up writing alerts: {error}") from error

    def _try(self, alerts: Sequence[Alert]) -> int:
        fresh = list({alert.id: alert for alert in alerts if alert.id not in self._known}.values())
        if not fresh or self._writer is None:
            return 0
        self._writer.begin()
        for number, alert in enumerate(fresh, self._next):
            alert.seq = number
            key, value, headers = self._wire.to_wire(alert, 0)
            self._writer.send(self._topic, 0, key, value, headers)
        self._reach(Failpoint.BEFORE_COMMIT)
        self._writer.commit({}, "")
        self._reach(Failpoint.AFTER_COMMIT)
        self._next += len(fresh)
        for alert in fresh:
            self._meter.counter(metrics.ALERTS, alert.status).add()
        self._known |= dict.fromkeys(alert.id for alert in fresh)
        while len(self._known) > self._kept:
            del self._known[next(iter(self._known))]
        return len(fresh)

    def close(self) -> None:
        """Release the connection; an open transaction is given up."""
        if self._writer is not None:
            self._writer.abort()
            self._writer.close()
            self._writer = None
