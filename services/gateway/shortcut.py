"""The short way to the routes that are asked thousands of times a second: by their exact path, past everything else.

FastAPI has the same routes, for the document that describes them and for paths written another way; looking for one
there, and solving dependencies that it does not have, costs as much as the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from riverrun.errors import RiverrunError
from services.gateway.problems import handle, respond, translate

__all__ = ["Shortcut"]

Answer = Callable[[Request], Awaitable[Response]]
_METHOD: Final = "POST"


class Shortcut:
    """Answers some paths itself, and leaves all others to the application.

    Parameters
    ----------
    app
        The application.
    answers
        What answers ``POST`` requests, by path.
    """

    def __init__(self, app: ASGIApp, answers: Mapping[str, Answer]) -> None:
        self._app = app
        self._answers = answers
        self._short = ServerErrorMiddleware(self._answer, handler=handle)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http" and scope["method"] == _METHOD and scope["path"] in self._answers:
            await self._short(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answers[scope["path"]](Request(scope, receive))
        except (HTTPException, RiverrunError) as error:
            response = respond(translate(error))
        await response(scope, receive, send)
