"""Who gets which alerts: the pipeline file's routes, and what was subscribed to since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from riverrun.pipeline.alerts import Route, Severity
from riverrun.records.items import AlertCommand
from riverrun.subscriptions import MOST_SUBSCRIPTIONS, CommandError, Subscription, subscription_of

__all__ = ["Subscriptions", "segment_text"]


class Subscriptions:
    """The subscriptions in force.

    Parameters
    ----------
    routes
        Those of the pipeline file.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed = {route.name: _of_route(route) for route in routes}
        self._added: dict[str, Subscription] = {}

    def all(self) -> tuple[Subscription, ...]:
        """Return them by name."""
        found = self._added | self._fixed
        return tuple(found[name] for name in sorted(found))

    def matching(self, rule: str, severity: Severity, segment: Mapping[str, str]) -> tuple[str, ...]:
        """Return the names of those that an alert is for."""
        return tuple(each.name for each in self.all() if each.wants(rule, severity, segment))

    def apply(self, command: AlertCommand) -> None:
        """Carry out a ``subscribe`` or ``unsubscribe``.

        Raises
        ------
        CommandError
            If it makes no sense.
        """
        name = command.subscription
        if name in self._fixed:
            raise CommandError(f"the subscription {name!r} is the pipeline file's", hint="change it there")
        if command.action == "unsubscribe":
            if self._added.pop(name, None) is None:
                raise CommandError(f"no subscription is called {name!r}")
            return
        if name not in self._added and len(self._added) >= MOST_SUBSCRIPTIONS:
            raise CommandError(f"there are {MOST_SUBSCRIPTIONS} subscriptions, no more are allowed", hint="end one")
        self._added[name] = subscription_of(command)

    def state(self) -> list[dict[str, object]]:
        """Return what `restore` needs."""
        return [asdict(each) for _, each in sorted(self._added.items())]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go on from a `state`."""
        found = [
            Subscription(**{**row, "segments": tuple(row["segments"]), "rules": tuple(row["rules"])}) for row in state
        ]
        self._added = {each.name: each for each in found}


def segment_text(segment: Mapping[str, str]) -> str:
    """Write a segment as one text.

    Examples
    --------
    >>> segment_text({"origin": "JFK", "carrier": "UA"})
    'carrier=UA,origin=JFK'
    """
    return ",".join(f"{name}={value}" for name, value in sorted(segment.items()))


def _of_route(route: Route) -> Subscription:
    return Subscription(
        name=route.name,
        channel=route.channel,
        url=route.url,
        secret=route.secret,
        min_severity=route.min_severity,
        segments=tuple(route.segments),
        rules=tuple(route.rules),
        fixed=True,
    )
