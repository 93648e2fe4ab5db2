"""Routes that name the scope they need: one that names none cannot be made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from riverrun.api_keys import SCOPES, ApiKey, Scope
from riverrun.errors import RiverrunError
from services.gateway.gate import CALLER, OPEN_PATHS
from services.gateway.problems import Problem, ProblemKind
from services.gateway.routes.bodies import DocumentRequest

__all__ = ["SCOPE", "GuardedRoute", "anyone", "guarded", "needs"]

SCOPE: Final = "x-riverrun-scope"
"""The member of an operation in the OpenAPI document that names the scope its callers need."""

_ANY_KEY: Final = "any"
_OPEN: Final = "none"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Extra = dict[str, Any]


def needs(scope: Scope | None, extra: Extra | None = None) -> Extra:
    """Return what a route is to say in ``openapi_extra``: the scope it needs; None for any valid key."""
    return {SCOPE: _ANY_KEY if scope is None else scope.value, **(extra or {})}


def anyone() -> Extra:
    """Return the same for a route that is open to all; the gate must say so too."""
    return {SCOPE: _OPEN, "security": []}


class GuardedRoute(APIRoute):
    """A route that checks the scope of the caller's key before its handler runs.

    Raises
    ------
    RiverrunError
        When it is made without a scope, or open to all at a path that the gate keeps closed.
    """

    def get_route_handler(self) -> Handler:
        """Return the handler, guarded."""
        handler = super().get_route_handler()
        if self.body_field is not None:
            handler = _of_documents(handler)
        scope = (self.openapi_extra or {}).get(SCOPE)
        if scope == _OPEN and self.path in OPEN_PATHS:
            return handler
        if scope == _ANY_KEY:
            return guarded(handler, None)
        if scope not in SCOPES:
            raise RiverrunError(f"the route {self.path} names no scope", hint="pass openapi_extra=needs(Scope...)")
        return guarded(handler, SCOPES[scope])


def _of_documents(handler: Handler) -> Handler:
    async def read(request: Request) -> Response:
        return await handler(DocumentRequest(request.scope, request.receive))

    return read


def guarded(handler: Callable[[Request], Awaitable[Response]], needed: Scope | None) -> Handler:
    """Return a handler that checks the caller's scope first; None for any valid key."""

    async def check(request: Request) -> Response:
        caller = request.scope.get(CALLER)
        if not isinstance(caller, ApiKey):
            raise Problem(ProblemKind.NO_KEY)
        if needed is not None and needed not in caller.scopes:
            raise Problem(ProblemKind.NOT_ALLOWED, f"this needs a key with the scope {needed.value!r}")
        return await handler(request)

    return check
