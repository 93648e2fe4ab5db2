"""Waits until every alert that is due is delivered, and judges the alerts of a scene."""

from __future__ import annotations

import contextlib
from typing import Final

from chaos.findings import Finding, Sort
from chaos.plain_alerts import SUBSCRIPTION, due_in, judge_alerts, told
from chaos.scene import Scene
from chaos.world import StuckError

__all__ = ["alerts_told"]

_LIMIT_S: Final = 120.0


def alerts_told(scene: Scene) -> list[Finding]:
    """Return what is wrong with the alerts, when the stages are at rest; ends the service."""
    world, receiver = scene.world, scene.receiver
    expected = due_in(world)
    # What is still missing then is found to be lost.
    with contextlib.suppress(StuckError):
        world.wait("every alert on its topic", lambda: len(told(world)) >= len(expected), limit_s=_LIMIT_S)
        alerts = told(world)
        meant = sum(SUBSCRIPTION in each.alert.subscriptions for each in alerts)
        world.wait("every alert delivered", lambda: receiver.alerts >= meant, limit_s=_LIMIT_S)
    for service in list(world.services):
        # In order, as far as Faust ends within its limit.
        service.terminate()
        service.wait()
        world.services.remove(service)
    findings = list(judge_alerts(expected, told(world), receiver.taken))
    if receiver.refused:
        findings.append(Finding(Sort.WRONG, f"{receiver.refused} deliveries had no valid signature"))
    if not expected:
        findings.append(Finding(Sort.WRONG, "no alert was due: the load was too short to judge by"))
    return findings
