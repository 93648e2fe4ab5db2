"""Runs the core over the signals, in order and without a gap, and writes what comes of them.

State trails: tables hold it with the position that it reflects. What lies between there and the first record that Faust
brings (its offsets may be ahead of the tables, or the tables lost) is read from the log and folded first, and so is
what it passes over later, as it does now and then after a start; alerts that the topic has already are not written
again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from riverrun.pipeline import Pipeline
from riverrun.records.items import Alert
from riverrun.runtime.ports import Log, Record
from riverrun.subscriptions import Subscription
from services.alerts.alert_log import AlertLog
from services.alerts.core import AlertsCore
from services.alerts.signals import Decode, next_offset, read_signal

__all__ = ["Fold", "SavedState"]

_LOG = logging.getLogger("riverrun.alerts")
_BATCH: Final = 1_000

SavedState = tuple[int, Mapping[str, Any]]
"""A core's state, and the position that it reflects."""


class Fold:
    """The alerts service between the signals topic and the alerts topic.

    Parameters
    ----------
    pipeline
        Whose alerts.
    log
        Where the signals can be read again.
    signals
        Their topic.
    decode
        Decodes what was copied.
    alerts
        Takes the alerts.
    """

    def __init__(self, pipeline: Pipeline, log: Log, signals: str, decode: Decode, alerts: AlertLog) -> None:
        self._pipeline = pipeline
        self._log = log
        self._signals = signals
        self._decode = decode
        self._alerts = alerts
        self._core: AlertsCore | None = None
        # The offset of the next record, if none is missing.
        self._expected = 0

    def open(self, saved: SavedState | None) -> None:
        """Start from a saved state, or from nothing, and shut out a predecessor.

        Raises
        ------
        FencedError, LogUnavailableError
            If that cannot be done.
        """
        self._core = None
        self._alerts.open(whole=saved is None)
        core = AlertsCore(self._pipeline)
        if saved is not None:
            core.restore(*saved)
            _LOG.info("goes on behind signal %d", core.position)
        else:
            _LOG.info("begins with the first signal there is: no state was found")
        self._core, self._expected = core, core.position + 1

    @property
    def is_open(self) -> bool:
        """Whether it may fold."""
        return self._core is not None

    def take(self, records: Sequence[Record]) -> int:
        """Fold records of the signals topic, and what is missing before each; return how many alerts were written.

        After an error it is closed: what it has in memory may be ahead of what is written.

        Raises
        ------
        FencedError
            If another has taken over.
        LogUnavailableError
            If the log is away, and it was told to give up.
        """
        core, self._core = self._core, None
        if core is None or not records:
            self._core = core
            return 0
        written = begin = 0
        for number, record in enumerate(records):
            if record.offset > self._expected:
                written += self._fold(core, records[begin:number]) + self._catch_up(core, record.offset)
                begin = number
            self._expected = max(self._expected, next_offset(record))
        written += self._fold(core, records[begin:])
        self._core = core
        return written

    def _catch_up(self, core: AlertsCore, end: int) -> int:
        """Fold what lies before ``end``."""
        written = 0
        _LOG.info("reads what was not brought of the signals from %d to %d", core.position + 1, end - 1)
        reader = self._log.reader(self._signals, 0, core.position + 1)
        try:
            while core.position + 1 < end and reader.end_offset < end:
                records = reader.poll(_BATCH, 0.5)
                written += self._fold(core, [record for record in records if record.offset < end])
                if records and records[-1].offset >= end:
                    break
        finally:
            reader.close()
        return written

    def _fold(self, core: AlertsCore, records: Sequence[Record]) -> int:
        found: list[Alert] = []
        for record in records:
            step = core.step(read_signal(record, self._decode))
            found += step.alerts
            for trouble in step.troubles:
                _LOG.warning("%s", trouble)
        return self._alerts.write(found)

    def saved(self) -> SavedState | None:
        """Return the state to be saved."""
        return None if self._core is None else (self._core.position, self._core.state())

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return the subscriptions in force; none as long as it is not open."""
        return () if self._core is None else self._core.subscriptions.all()

    def close(self) -> None:
        """Release connections."""
        self._core = None
        self._alerts.close()
