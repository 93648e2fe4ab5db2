"""A stream of alerts as server-sent events, to one who follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as RequestScope

from riverrun.api_keys import ApiKey, Scope
from services.gateway.gate import CALLER_NOW
from services.gateway.routes.documents import AlertDocument
from services.gateway.routes.models import finite
from services.gateway.views import AlertsView, Heard

__all__ = ["EVENT_STREAM", "Following", "alert_document"]

EVENT_STREAM: Final = "text/event-stream"
_HEARTBEAT_S: Final = 15.0


class Following(StreamingResponse):
    """A stream of alerts, which has its place among the listeners from when it is made until it is over.

    Parameters
    ----------
    view
        Whose alerts.
    request
        Who asked, and is told nothing more once the key is not valid any more.
    after
        The offset behind which it begins; None for what is new.
    """

    def __init__(self, view: AlertsView, request: Request, after: int | None) -> None:
        self._view = view
        self._request = request
        self._queue = view.listen()
        super().__init__(self._events(after), media_type=EVENT_STREAM)

    async def __call__(self, scope: RequestScope, receive: Receive, send: Send) -> None:
        """Send it; whoever went away before it began leaves its place too."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._view.leave(self._queue)

    async def _events(self, after: int | None) -> AsyncIterator[bytes]:
        """Give old alerts, then every new one; a comment now and then keeps the connection open."""
        yield b": alerts\n\n"
        seen = -1
        for heard in self._view.alerts(after) if after is not None else ():
            if not self._is_allowed():
                return
            yield _event(heard)
            seen = heard.offset
        while True:
            said = await self._next(seen)
            if said is None or not self._is_allowed():
                return
            yield said

    async def _next(self, seen: int) -> bytes | None:
        """Return the next alert behind an offset, or a sign of life if none comes for long; None if it was too slow."""
        try:
            async with asyncio.timeout(_HEARTBEAT_S):
                while (heard := await self._queue.get()) is not None:
                    if heard.offset > seen:
                        return _event(heard)
        except TimeoutError:
            return b": still here\n\n"
        return None

    def _is_allowed(self) -> bool:
        scope = self._request.scope
        caller: ApiKey | None = scope[CALLER_NOW](scope)
        return caller is not None and Scope.READ in caller.scopes


def _event(heard: Heard) -> bytes:
    data = orjson.dumps(alert_document(heard).model_dump())
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (heard.offset, heard.alert.status.encode(), data)


def alert_document(heard: Heard) -> AlertDocument:
    """Return an alert as it is listed, and told live."""
    alert = heard.alert
    return AlertDocument(
        offset=heard.offset,
        id=alert.id,
        incident=alert.incident,
        status=alert.status,
        rule=alert.rule,
        kind=alert.kind,
        severity=alert.severity,
        subject=alert.subject,
        segment=alert.segment,
        time=alert.time,
        title=alert.title,
        text=alert.text,
        values=finite(alert.values),
        level=alert.level,
        suppressed=alert.suppressed,
        author=alert.author,
        note=alert.note,
    )
