"""The gate that every request passes before anything else looks at it: key, rate, size. Deny by default.

Which scope a route needs is checked where the route is (:mod:`services.gateway.guarded`); the gate lets nobody in whose
key is not valid, but for the few paths that are open to all.
"""

from __future__ import annotations

import base64
import binascii
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riverrun.api_keys import ApiKey, KeyFileError
from services.gateway.problems import Problem, ProblemKind, respond
from services.gateway.rates import Rates
from services.gateway.settings import GatewaySettings

__all__ = ["CALLER", "CALLER_NOW", "OPEN_PATHS", "Gate", "Keys", "Tally", "read_body"]

_LOG: Final = logging.getLogger(__name__)

CALLER: Final = "riverrun.caller"
"""Where the gate puts the caller's key in a request's scope."""

CALLER_NOW: Final = "riverrun.caller-now"
"""Where it puts what tells of a scope whose key is in it by now: None once that is not valid any more."""

OPEN_PATHS: Final = frozenset({"/health/live", "/health/ready"})
"""What can be asked without a key: whether the process lives and works."""

_REFRESH_S: Final = 1.0
_SECURE: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class Keys(Protocol):
    """Tells whose key a text is."""

    def identify(self, text: str, now: int) -> ApiKey | None:
        """Return the key, or None if it is none that may be used now."""
        ...

    def refresh(self) -> None:
        """Take notice of keys that were made or revoked."""
        ...


@dataclass(slots=True)
class Tally:
    """What the gate has seen, for the metrics."""

    by_status: dict[int, int] = field(default_factory=dict)
    in_work: int = 0


class Gate:
    """The outermost application.

    Parameters
    ----------
    app
        What requests are for.
    keys
        Who may come in.
    settings
        How often, and with how much.
    tally
        Where it counts.
    """

    def __init__(self, app: ASGIApp, keys: Keys, settings: GatewaySettings, tally: Tally) -> None:
        self._app = app
        self._keys = keys
        self._settings = settings
        self._tally = tally
        self._rates = Rates(settings.rate, settings.burst)
        self._guesses = Rates(settings.guesses / 60.0, settings.guesses)
        self._refreshed = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it with a problem."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Nothing here speaks WebSocket; to return without accepting closes it.
            return
        tally = self._tally
        answering = self._answering(send)
        try:
            receive = self._admit(scope, receive)
        except Problem as problem:
            await respond(problem)(scope, receive, answering)
            return
        if scope["path"] in OPEN_PATHS:
            # Whoever has no key takes no place from those who have, and is told that it lives when there is none left.
            await self._app(scope, receive, answering)
            return
        tally.in_work += 1
        try:
            await self._app(scope, receive, answering)
        finally:
            tally.in_work -= 1

    def _answering(self, send: Send) -> Send:
        by_status = self._tally.by_status

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                by_status[status] = by_status.get(status, 0) + 1
                message["headers"] = [*message.get("headers", ()), *_SECURE]
            await send(message)

        return answering

    def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """Check the key, the rate and the announced size; return what the body is to be received by."""
        settings = self._settings
        if "\n" in scope["path"]:
            # Starlette's expressions end in `$`, which lets a line end follow: such a path would be taken for another.
            raise Problem(ProblemKind.NOT_FOUND)
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        now = time.monotonic()
        if scope["path"] not in OPEN_PATHS:
            if self._tally.in_work >= settings.max_concurrent:
                raise Problem(ProblemKind.UNAVAILABLE, "too many requests are in work", headers={"Retry-After": "1"})
            scope[CALLER] = caller = self._identify(headers, scope, now)
            scope[CALLER_NOW] = self._caller_now
            wait = self._rates.wait(caller.id, now)
            if wait:
                raise _too_many(wait, f"the key allows {settings.rate} requests a second")
        announced = headers.get(b"content-length")
        if announced is not None and b"transfer-encoding" not in headers:
            if len(announced) > 18 or not announced.isdigit() or int(announced) > settings.max_body_bytes:
                raise _too_large(settings.max_body_bytes)
            return receive
        return _Counted(receive, settings.max_body_bytes)

    def _caller_now(self, scope: Scope) -> ApiKey | None:
        return self._key(dict(scope["headers"]), time.monotonic())

    def _key(self, headers: Mapping[bytes, bytes], now: float) -> ApiKey | None:
        if now - self._refreshed >= _REFRESH_S:
            self._refreshed = now
            try:
                self._keys.refresh()
            except KeyFileError as error:
                _LOG.error("the keys known so far stay: %s", error)
        return self._keys.identify(_key_text(headers), time.time_ns() // 1_000_000)

    def _identify(self, headers: Mapping[bytes, bytes], scope: Scope, now: float) -> ApiKey:
        key = self._key(headers, now)
        if key is None:
            # A right key is never kept out for the wrong ones that came from its address: that may be a proxy's.
            client = scope.get("client")
            wait = self._guesses.wait(client[0] if client else "", now)
            if wait:
                raise _too_many(wait, "too many requests without a valid key came from here")
            raise Problem(
                ProblemKind.NO_KEY,
                "send `Authorization: Bearer KEY`; `riverrun keys make` makes one",
                headers={"WWW-Authenticate": 'Bearer realm="riverrun"'},
            )
        return key


class _Counted:
    """Receives a body of unknown length, and ends it when it is too long."""

    __slots__ = ("_left", "_limit", "_receive")

    def __init__(self, receive: Callable[[], Awaitable[Message]], limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._left = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise _too_large(self._limit)
        return message


def _key_text(headers: Mapping[bytes, bytes]) -> str:
    """Return the key as it was sent: as a bearer token, in a header of its own, or as the password of basic auth."""
    own = headers.get(b"x-api-key")
    if own is not None:
        return own.decode("latin-1")
    kind, _, given = headers.get(b"authorization", b"").partition(b" ")
    scheme = kind.lower()
    if scheme == b"bearer":
        return given.strip().decode("latin-1")
    if scheme == b"basic":
        try:
            return base64.b64decode(given, validate=True).decode("latin-1").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


def _too_many(wait: float, detail: str) -> Problem:
    return Problem(ProblemKind.TOO_MANY, detail, headers={"Retry-After": str(max(1, round(wait + 0.5)))})


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read: the connection is of no further use.
    return Problem(ProblemKind.TOO_LARGE, f"a body may have {limit} bytes", headers={"Connection": "close"})


async def read_body(receive: Receive) -> bytes:
    """Return a request's body. How long it may take is watched below: by :class:`services.gateway.server.BoundedHttp`.

    Raises
    ------
    Problem
        If it is too long, or the caller went away or was hung up on.
    """
    message = await receive()
    parts = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    if message["type"] == "http.disconnect":
        raise Problem(ProblemKind.BAD_REQUEST, "the caller went away")
    return b"".join(parts)
