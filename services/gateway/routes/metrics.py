"""``/metrics``: what the gateway counts, in Prometheus' text format."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from riverrun.api_keys import Scope
from riverrun.telemetry.collecting import of_process
from riverrun.telemetry.exposition import CONTENT_TYPE, exposition
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts

__all__ = ["routes"]

_EXAMPLE: Final = """\
# HELP riverrun_gateway_responses_total Responses of the gateway, by HTTP status.
# TYPE riverrun_gateway_responses_total counter
riverrun_gateway_responses_total{pipeline="flights",status="200"} 4711
"""
_TEXT: Final = {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}}


def routes(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=GuardedRoute, tags=["health"])

    @router.get(
        "/metrics",
        operation_id="getMetrics",
        summary="Counts, in Prometheus' text format.",
        description="What this process has counted since it started: its responses, what is in work, and itself.",
        openapi_extra=needs(Scope.READ),
        responses={200: {"description": "Metrics.", "content": _TEXT}},
        response_class=Response,
    )
    async def metrics() -> Response:
        samples = [*parts.samples(), *of_process()]
        return Response(exposition(samples, {"pipeline": parts.pipeline.name}), media_type=CONTENT_TYPE)

    return router
