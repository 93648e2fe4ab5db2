"""``/metrics``: what the gateway counts, in Prometheus' text format."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from riverrun.api_keys import Scope
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts

__all__ = ["METRICS_TYPE", "routes"]

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


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
        return Response("\n".join(_lines(parts)) + "\n", media_type=METRICS_TYPE)

    return router


def _lines(parts: Parts) -> list[str]:
    tally = parts.tally
    name = "riverrun_gateway_responses_total"
    lines = [f"# HELP {name} Responses by HTTP status.", f"# TYPE {name} counter"]
    lines += [f'{name}{{status="{status}"}} {count}' for status, count in sorted(tally.by_status.items())]
    gauges = (
        ("riverrun_gateway_requests_in_work", "Requests that are being answered.", tally.in_work),
        ("riverrun_gateway_alert_listeners", "Connections that follow the alerts.", parts.alerts.listeners),
    )
    for gauge, about, value in gauges:
        lines += [f"# HELP {gauge} {about}", f"# TYPE {gauge} gauge", f"{gauge} {value}"]
    return lines
