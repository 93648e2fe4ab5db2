"""Webhooks: a signed POST, to the very address that was checked.

The standard library's client is used as it is: it follows no redirect and looks at no proxy setting.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from riverrun.delivery.destinations import (
    Destination,
    ForbiddenError,
    Resolve,
    UnresolvedError,
    locate,
    look_up,
    parse_url,
)
from riverrun.delivery.messages import Message, Outcome, Result
from riverrun.delivery.signing import Signer

__all__ = ["Webhook"]

_TIMEOUT_S: Final = 10.0
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
    """

    url: str
    signer: Signer
    allowed: frozenset[str] = frozenset()
    resolve: Resolve = look_up
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    clock: Callable[[], float] = time.time

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
        connection = _connection(place, self.context)
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


class _PinnedConnection(http.client.HTTPConnection):
    """A connection to an address that was found before; for TLS the certificate must be the host's all the same."""

    def __init__(self, place: Destination, context: ssl.SSLContext | None) -> None:
        super().__init__(place.host, place.port, timeout=_TIMEOUT_S)
        self._place = place
        self._context = context

    def connect(self) -> None:
        """Connect."""
        plain = socket.create_connection((self._place.address, self._place.port), _TIMEOUT_S)
        if self._context is None:
            self.sock = plain
            return
        try:
            self.sock = self._context.wrap_socket(plain, server_hostname=self._place.host)
        except BaseException:
            plain.close()
            raise


def _connection(place: Destination, context: ssl.SSLContext) -> _PinnedConnection:
    return _PinnedConnection(place, context if place.scheme == "https" else None)
