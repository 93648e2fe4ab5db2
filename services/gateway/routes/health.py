"""Whether the gateway lives and works, for whoever runs it: open to all, and saying nothing of the inside."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from services.gateway.guarded import GuardedRoute, anyone
from services.gateway.parts import Parts
from services.gateway.problems import Problem, ProblemKind
from services.gateway.routes.documents import HealthDocument

__all__ = ["routes"]

_ALIVE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/json": {"example": {"status": "alive", "troubles": {}}}}}
}


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/health", route_class=GuardedRoute, tags=["health"])

    @router.get(
        "/live",
        operation_id="isAlive",
        summary="Whether the process lives.",
        description="Looks at nothing: that it answers is the answer. When it does not, start the process again.",
        openapi_extra=anyone(),
        responses=_ALIVE,
    )
    async def live() -> HealthDocument:
        return HealthDocument(status="alive", troubles={})

    @router.get(
        "/ready",
        operation_id="isReady",
        summary="Whether everything that requests need works.",
        description="Asks Redis, and whether the log is read. If something does not work, `troubles` says what.",
        openapi_extra=anyone(),
    )
    async def ready() -> HealthDocument:
        troubles = await parts.readiness.troubles()
        if troubles:
            raise Problem(
                ProblemKind.UNAVAILABLE,
                "something does not work",
                headers={"Retry-After": "1"},
                members={"troubles": troubles},
            )
        return HealthDocument(status="ready", troubles=troubles)

    return router
