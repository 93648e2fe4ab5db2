"""Puts the routes together to an application, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route

from riverrun import __version__
from riverrun.api_keys import Scope
from riverrun.errors import RiverrunError
from riverrun.records.asyncapi import asyncapi_document
from services.gateway.gate import Gate, Keys
from services.gateway.guarded import GuardedRoute, guarded, needs
from services.gateway.openapi import build as build_openapi
from services.gateway.parts import Parts
from services.gateway.problems import ProblemKind, respond, translate
from services.gateway.routes import alerts, dead_letters, health, metrics, models, predict, registry, streams
from services.gateway.shortcut import Shortcut

__all__ = ["create_app"]

# The busiest first: routes are tried in this order.
_GROUPS: Final = (predict, streams, health, models, alerts, dead_letters, registry, metrics)


def create_app(parts: Parts, keys: Keys) -> Gate:
    """Return the application.

    Parameters
    ----------
    parts
        What the routes use. Closed when the application's life ends.
    keys
        Who may come in.
    """

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        del app
        yield
        parts.close()

    app = FastAPI(
        title="riverrun",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=life,
    )
    routers = [*(group.routes(parts) for group in _GROUPS), _documents(app, parts)]
    for router in routers:
        app.include_router(router)
    answer = _answering([route for router in routers for route in router.routes])
    for kind in (HTTPException, RequestValidationError, RiverrunError, Exception):
        app.add_exception_handler(kind, answer)
    shortcut = Shortcut(app, {predict.path(parts): guarded(predict.answering(parts), Scope.PREDICT)})
    return Gate(shortcut, keys, parts.settings, parts.tally)


def _answering(routes: Sequence[BaseRoute]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers requests that end in an exception."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = translate(error)
        if problem.kind is ProblemKind.METHOD:
            # Of all routes of the path: the exception knows of the first alone.
            methods = {method for route in routes for method in _methods(route, request)}
            problem.headers = {"Allow": ", ".join(sorted(methods))}
        return respond(problem)

    return answer


def _methods(route: BaseRoute, request: Request) -> set[str]:
    """Return the methods of a route if the request's path is its own."""
    if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
        return set(route.methods or ())
    return set()


def _documents(app: FastAPI, parts: Parts) -> APIRouter:
    """Return the routes of the documents that describe all of this; made when they are first asked for."""
    router = APIRouter(route_class=GuardedRoute, tags=["documents"])
    made: dict[str, dict[str, Any]] = {}

    @router.get("/openapi.json", operation_id="getOpenapi", summary="This document.", openapi_extra=needs(None))
    async def openapi() -> JSONResponse:
        if "openapi" not in made:
            made["openapi"] = build_openapi(app, parts)
        return JSONResponse(made["openapi"])

    @router.get(
        "/asyncapi.json", operation_id="getAsyncapi", summary="What the topics hold.", openapi_extra=needs(None)
    )
    async def asyncapi() -> JSONResponse:
        if "asyncapi" not in made:
            made["asyncapi"] = asyncapi_document(parts.schemas, __version__)
        return JSONResponse(made["asyncapi"])

    return router
