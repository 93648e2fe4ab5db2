"""Whether the gateway lives and works, for whoever runs it: open to all, and saying nothing of the inside."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from services.gateway.guarded import GuardedRoute, anyone
from services.gateway.parts import Parts
from services.gateway.routes.documents import HealthDocument

__all__ = ["routes"]


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/health", route_class=GuardedRoute, tags=["health"])

    @router.get("/live", operation_id="isAlive", summary="Whether the process lives.", openapi_extra=anyone())
    async def live() -> HealthDocument:
        return HealthDocument(status="alive", troubles={})

    @router.get(
        "/ready",
        operation_id="isReady",
        summary="Whether everything that requests need works.",
        openapi_extra=anyone(),
        response_model=HealthDocument,
        responses={503: {"model": HealthDocument, "description": "Something does not work; `troubles` says what."}},
    )
    async def ready() -> Response:
        troubles = await parts.readiness.troubles()
        document = HealthDocument(status="degraded" if troubles else "ready", troubles=troubles)
        return JSONResponse(document.model_dump(), 503 if troubles else 200)

    return router
