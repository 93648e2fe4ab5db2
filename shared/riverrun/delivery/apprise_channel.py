"""E-mail, Slack, Teams, PagerDuty and the like: whatever Apprise knows, by one URL."""

from __future__ import annotations

import logging
from typing import Final

import apprise

from riverrun.delivery.messages import Message, Outcome, Result
from riverrun.errors import SettingsError

__all__ = ["AppriseChannel"]

_KINDS: Final = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "critical": apprise.NotifyType.FAILURE,
}


class AppriseChannel:
    """Delivers messages by one or several Apprise URLs, which hold the services' tokens and passwords.

    Parameters
    ----------
    name
        What to call it, since the URL must not be told.
    urls
        The URLs, separated by spaces.

    Raises
    ------
    SettingsError
        If Apprise makes nothing of a URL.
    """

    __slots__ = ("_name", "_sender")

    def __init__(self, name: str, urls: str) -> None:
        # Apprise's log lines quote URLs, and with them tokens and passwords.
        logging.getLogger("apprise").disabled = True
        self._name = name
        self._sender = apprise.Apprise()
        for url in urls.split():
            if not self._sender.add(url):
                raise SettingsError(
                    f"Apprise makes nothing of a URL of {name}", hint="its wiki lists the form of each service's URL"
                )
        if not len(self._sender):
            raise SettingsError(f"{name} has no Apprise URL")

    def deliver(self, message: Message) -> Outcome:
        """Hand the message to Apprise; the id is part of the text, since most services take no key."""
        taken = self._sender.notify(
            title=message.title,
            body=f"{message.text}\n\n[{message.id}]".lstrip(),
            notify_type=_KINDS.get(message.severity, apprise.NotifyType.WARNING),
        )
        return Outcome(Result.DELIVERED) if taken else Outcome(Result.FAILED, f"{self._name} did not take it")
