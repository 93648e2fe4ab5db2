"""``POST /v1/streams/{stream}``: events for a stream."""

from __future__ import annotations

from typing import Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from riverrun.api_keys import Scope
from services.gateway.answering import publish_all
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.openapi import events_body, publish_responses
from services.gateway.parts import Parts
from services.gateway.routes.bodies import json_body

__all__ = ["routes"]

_ABOUT: Final = """\
The answer comes when Kafka has the events on all replicas, or not at all: after an error, send them again with the same
ids, and what arrived is dropped as a duplicate. An event without an id gets one, one without a time that of receipt.
"""


def routes(parts: Parts) -> APIRouter:
    """Return a route for each stream: the schemas of their events differ."""
    router = APIRouter(route_class=GuardedRoute, tags=["streams"])
    for name in parts.admissions:
        _route(router, parts, name)
    return router


def _route(router: APIRouter, parts: Parts, name: str) -> None:
    admission = parts.admission(name)

    @router.post(
        f"/v1/streams/{name}",
        operation_id=f"publish_{name}",
        status_code=202,
        summary=f"Publish an event of {name}, or several.",
        description=_ABOUT,
        openapi_extra=needs(Scope.PUBLISH, {"requestBody": events_body(parts, name)}),
        responses=publish_responses(),
        response_class=Response,
    )
    async def publish(request: Request) -> Response:
        with parts.traced.traced(request, f"POST /v1/streams/{name}") as headers:
            admitted, _ = admission.take(await json_body(request), headers)
            receipts = await publish_all(parts.publisher, [each.record for each in admitted])
        records = [
            {"id": each.event.id, "time": each.event.time, **place._asdict()}
            for each, place in zip(admitted, receipts, strict=True)
        ]
        return Response(orjson.dumps({"records": records}), 202, media_type="application/json")
