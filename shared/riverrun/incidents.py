"""Which incidents are open, told by the records of alerts alone: who writes them and who reads them agree on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from riverrun.pipeline.alerts import ChampionRule, CounterRule, DriftRule
from riverrun.records.items import Alert

__all__ = ["ACKNOWLEDGED", "DIGEST", "ESCALATED", "MOMENTARY", "MOST_PASSED", "RAISED", "RESOLVED", "open_incidents"]

RAISED: Final = "raised"
ESCALATED: Final = "escalated"
ACKNOWLEDGED: Final = "acknowledged"
RESOLVED: Final = "resolved"
DIGEST: Final = "digest"

MOMENTARY: Final = frozenset({DriftRule.kind, CounterRule.kind, ChampionRule.kind})
"""Kinds of what happens and does not last: it is never resolved, and open until somebody acknowledges it."""

MOST_PASSED: Final = 500
"""As many momentary incidents that nobody acknowledged stay open, the newest: each is part of the service's state."""


def open_incidents(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """Return the last alert of each incident that is open, by incident, in the order in which they were first told.

    An incident that is not among them cannot be acknowledged (any more).

    Parameters
    ----------
    alerts
        The alerts topic, in order; or its end, for what is open of what was told there.
    """
    last: dict[str, Alert] = {}
    for alert in alerts:
        last[alert.incident] = alert
    found: list[Alert] = []
    passed = 0
    for alert in reversed(last.values()):
        if alert.status in (RESOLVED, DIGEST):
            continue
        if alert.kind in MOMENTARY:
            passed += alert.status != ACKNOWLEDGED
            if alert.status == ACKNOWLEDGED or passed > MOST_PASSED:
                continue
        found.append(alert)
    return {alert.incident: alert for alert in reversed(found)}
