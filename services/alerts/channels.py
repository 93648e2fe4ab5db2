"""From a subscription to the way there: its secret comes from a setting, or from a file that a setting names."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from riverrun.delivery.destinations import allowed_hosts
from riverrun.delivery.messages import Channel
from riverrun.delivery.signing import Signer
from riverrun.delivery.webhook import Webhook
from riverrun.errors import SettingsError
from riverrun.subscriptions import Subscription

__all__ = ["SECRETS", "channel_of"]

SECRETS = "RIVERRUN_CHANNEL_"
"""Prefix of the settings with the secrets; with ``_FILE`` behind it, the setting names a file that holds one."""


def channel_of(subscription: Subscription, environment: Mapping[str, str]) -> Channel:
    """Return the channel of a subscription.

    Raises
    ------
    SettingsError
        If its secret is missing or malformed. The message does not hold it.
    """
    secret = _secret(subscription, environment)
    if subscription.channel == "apprise":
        # It takes a fifth of a second to import, at each start, and few subscriptions need it.
        made: Channel = import_module("riverrun.delivery.apprise_channel").AppriseChannel(
            f"subscription {subscription.name}", secret
        )
        return made
    return Webhook(subscription.url, Signer.of(secret), allowed_hosts(environment))


def _secret(subscription: Subscription, environment: Mapping[str, str]) -> str:
    setting = f"{SECRETS}{subscription.secret}"
    if environment.get(setting):
        return environment[setting]
    path = environment.get(f"{setting}_FILE")
    if not path:
        raise SettingsError(
            f"the subscription {subscription.name} has no secret", hint=f"set {setting}, or {setting}_FILE to a path"
        )
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file that {setting}_FILE names cannot be read: {type(error).__name__}") from None
