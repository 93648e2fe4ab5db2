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

    @router.get(
        "/openapi.json",
        operation_id="getOpenapi",
        summary="This document.",
        description="The routes of this gateway, by OpenAPI 3.1; what events look like is the pipeline's own.",
        openapi_extra=needs(None),
        responses=_described("openapi", "3.1.0", "paths"),
    )
    async def openapi() -> JSONResponse:
        if "openapi" not in made:
            made["openapi"] = build_openapi(app, parts)
        return JSONResponse(made["openapi"])

    @router.get(
        "/asyncapi.json",
        operation_id="getAsyncapi",
        summary="What the topics hold.",
        description="The topics of the pipeline with the Avro schemas of their records, by AsyncAPI 3.",
        openapi_extra=needs(None),
        responses=_described("asyncapi", "3.0.0", "channels"),
    )
    async def asyncapi() -> JSONResponse:
        if "asyncapi" not in made:
            made["asyncapi"] = asyncapi_document(parts.schemas, __version__)
        return JSONResponse(made["asyncapi"])

    return router


def _described(kind: str, version: str, content: str) -> dict[int | str, dict[str, Any]]:
    """Return the good response of a route with a document of a kind, whose greatest member is named."""
    properties: dict[str, Any] = {
        kind: {"type": "string", "pattern": rf"^{version[0]}\."},
        "info": {"type": "object", "required": ["title", "version"]},
        content: {"type": "object"},
    }
    schema = {"type": "object", "required": list(properties), "properties": properties}
    example = {kind: version, "info": {"title": "riverrun: flights", "version": __version__}, content: {}}
    return {
        200: {"description": "The document.", "content": {"application/json": {"schema": schema, "example": example}}}
    }
