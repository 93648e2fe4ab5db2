"""Webhooks: a signed POST, to an address that was checked, answered in time or tried again.

The standard library's client is used as it is: it follows no redirect and looks at no proxy setting.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from riverrun.delivery.connections import Deadline, PinnedConnection
from riverrun.delivery.destinations import ForbiddenError, Resolve, UnresolvedError, locate, look_up, parse_url
from riverrun.delivery.messages import Message, Outcome, Result
from riverrun.delivery.signing import Signer

__all__ = ["Webhook"]

_LIMIT_S: Final = 10.0
"""For an attempt as a whole; less than what the alerts service waits for its couriers when it ends."""

_MOST_WAIT_S: Final = 3_600.0
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Webhook:
    """Delivers messages to one URL.

    Parameters
    ----------
    url
        The URL.
    signer
        Signs each request.
    allowed
        Hosts that need not be public.
    resolve
        Looks a host up.
    context
        Checks certificates.
    clock
        Seconds since the epoch, for the signature.
    limit_s
        How long an attempt may take, in seconds, from when the host is found until the answer is there.
    """

    url: str
    signer: Signer
    allowed: frozenset[str] = frozenset()
    resolve: Resolve = look_up
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    clock: Callable[[], float] = time.time
    limit_s: float = _LIMIT_S

    def deliver(self, message: Message) -> Outcome:
        """Post the message's body. Any 2xx is taken as receipt; 410 says that the receiver is gone for good."""
        try:
            place = locate(parse_url(self.url, self.allowed), self.allowed, self.resolve)
        except (ForbiddenError, UnresolvedError) as error:
            return Outcome(Result.FAILED, str(error))
        headers = {
            "content-type": "application/json",
            "user-agent": "riverrun",
            **self.signer.headers(message.id, int(self.clock()), message.body),
        }
        context = self.context if place.scheme == "https" else None
        connection = PinnedConnection(place, context, Deadline(self.limit_s))
        try:
            connection.request("POST", place.target, message.body, headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            return Outcome(Result.FAILED, f"{place.host} does not answer: {error!r:.200}")
        finally:
            connection.close()
        return _judge(place.host, response)


def _judge(host: str, response: http.client.HTTPResponse) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        return Outcome(Result.DELIVERED)
    if status == _GONE:
        return Outcome(Result.GONE, f"{host} answers 410: it wants nothing any more")
    return Outcome(Result.FAILED, f"{host} answers {status}", _asked_wait(response.headers.get("retry-after", "")))


def _asked_wait(text: str) -> float:
    return min(float(text), _MOST_WAIT_S) if text.isascii() and text.isdecimal() else 0.0
