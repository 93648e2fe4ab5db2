"""``/metrics``: what the gateway counts, in Prometheus' text format."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from riverrun.api_keys import Scope
from riverrun.telemetry.collecting import of_process
from riverrun.telemetry.exposition import CONTENT_TYPE, exposition
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts

__all__ = ["routes"]


def routes(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=GuardedRoute, tags=["health"])

    @router.get(
        "/metrics",
        operation_id="getMetrics",
        summary="Counts, in Prometheus' text format.",
        openapi_extra=needs(Scope.READ),
        responses={200: {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
        response_class=Response,
    )
    async def metrics() -> Response:
        samples = [*parts.samples(), *of_process()]
        return Response(exposition(samples, {"pipeline": parts.pipeline.name}), media_type=CONTENT_TYPE)

    return router
