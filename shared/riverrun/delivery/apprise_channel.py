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

    What one of them has taken it is not told again because another does not answer. Apprise calls the addresses in its
    URLs by itself: who sets the secret, the operator, is trusted with where it leads.

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

    __slots__ = ("_name", "_senders", "_taken")

    def __init__(self, name: str, urls: str) -> None:
        # Apprise's log lines quote URLs, and with them tokens and passwords.
        logging.getLogger("apprise").disabled = True
        self._name = name
        self._senders = [self._sender(url) for url in urls.split()]
        if not self._senders:
            raise SettingsError(f"{name} has no Apprise URL")
        # Which of the senders have taken the message at hand: one is delivered at a time, until all have it.
        self._taken: tuple[str, set[int]] = "", set()

    def _sender(self, url: str) -> apprise.Apprise:
        sender = apprise.Apprise()
        if not sender.add(url):
            raise SettingsError(
                f"Apprise makes nothing of a URL of {self._name}", hint="its wiki lists the form of each service's URL"
            )
        return sender

    def deliver(self, message: Message) -> Outcome:
        """Hand the message to Apprise; the id is part of the text, since most services take no key."""
        if self._taken[0] != message.id:
            self._taken = message.id, set()
        taken = self._taken[1]
        for number, sender in enumerate(self._senders):
            if number not in taken and self._notify(sender, message):
                taken.add(number)
        missing = len(self._senders) - len(taken)
        if not missing:
            return Outcome(Result.DELIVERED)
        which = f", {missing} of its {len(self._senders)} URLs" if len(self._senders) > 1 else ""
        return Outcome(Result.FAILED, f"{self._name}{which} did not take it")

    def _notify(self, sender: apprise.Apprise, message: Message) -> bool:
        return bool(
            sender.notify(
                title=message.title,
                body=f"{message.text}\n\n[{message.id}]".lstrip(),
                notify_type=_KINDS.get(message.severity, apprise.NotifyType.WARNING),
            )
        )
