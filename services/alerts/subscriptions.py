"""Who gets which alerts: the pipeline file's routes, and what was subscribed to since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from riverrun.errors import RiverrunError
from riverrun.pipeline.alerts import SECRET_NAME, SEGMENT, SEVERITIES, Channel, Route, Severity
from riverrun.pipeline.checks.names import PIPELINE_NAME
from riverrun.records.items import AlertCommand

__all__ = ["CommandError", "Subscription", "Subscriptions", "segment_text"]


class CommandError(RiverrunError):
    """A command makes no sense; it is skipped."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who gets alerts, which and how; see `riverrun.pipeline.alerts.Route`, of which it is the running form.

    ``fixed`` is True for those of the pipeline file, which commands cannot change.
    """

    name: str
    channel: Channel
    url: str
    secret: str
    min_severity: Severity = "info"
    segments: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    fixed: bool = False

    def wants(self, rule: str, severity: Severity, segment: Mapping[str, str]) -> bool:
        """Tell whether an alert is for it."""
        if SEVERITIES.index(severity) < SEVERITIES.index(self.min_severity):
            return False
        if self.rules and rule not in self.rules:
            return False
        return not self.segments or any(f"{name}={value}" in self.segments for name, value in segment.items())


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
        self._added[name] = _of_command(command)

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


def _of_command(command: AlertCommand) -> Subscription:
    if not PIPELINE_NAME.fullmatch(command.subscription):
        raise CommandError(f"{command.subscription!r} is no name for a subscription")
    if command.channel not in get_args(Channel):
        raise CommandError(f"{command.channel!r} is no channel", hint="use webhook or apprise")
    if not SECRET_NAME.fullmatch(command.secret):
        raise CommandError(f"{command.secret!r} is no name for a secret", hint="use capitals, digits and underscores")
    severity = next((each for each in SEVERITIES if each == command.min_severity), None)
    if severity is None:
        raise CommandError(f"{command.min_severity!r} is no severity", hint=f"use one of {', '.join(SEVERITIES)}")
    if command.channel == "webhook" and not _is_http(command.url):
        raise CommandError("the address of a webhook is not an http or https URL")
    if command.channel == "apprise" and command.url:
        raise CommandError("an Apprise URL does not travel in a command", hint="put it into the secret's setting")
    if not all(SEGMENT.fullmatch(segment) for segment in command.segments):
        raise CommandError("a segment is not written name=value")
    return Subscription(
        name=command.subscription,
        channel=cast("Channel", command.channel),
        url=command.url,
        secret=command.secret,
        min_severity=severity,
        segments=command.segments,
        rules=command.rules,
    )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # A password in an address would be on the topic for everybody to read.
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
