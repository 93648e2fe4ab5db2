"""Subscriptions to alerts: what one is, and which commands make one; the gateway and the alerts service agree on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast, get_args
from urllib.parse import urlsplit

from riverrun.errors import RiverrunError
from riverrun.pipeline.alerts import SECRET_NAME, SEGMENT, SEVERITIES, Channel, Severity
from riverrun.pipeline.checks.names import PIPELINE_NAME
from riverrun.records.items import AlertCommand

__all__ = ["MOST_SUBSCRIPTIONS", "CommandError", "Subscription", "subscription_of"]

MOST_SUBSCRIPTIONS: Final = 100
"""As many may be made by commands, beside the pipeline file's: each has a thread of the alerts service and its
connections, is part of its state, and is named in alerts."""


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


def subscription_of(command: AlertCommand) -> Subscription:
    """Return what a ``subscribe`` asks for.

    Raises
    ------
    CommandError
        If it makes no sense.
    """
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
        port = parts.port
    except ValueError:  # of brackets, or of a port beyond 65535
        return False
    # A password in an address would be on the topic for everybody to read.
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and "@" not in parts.netloc
