"""``POST /v1/pipelines/{pipeline}/predict``: a prediction for an event, or for each of several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from riverrun.api_keys import Scope
from services.gateway.answering import Answer
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.openapi import events_body, prediction_responses
from services.gateway.parts import Parts
from services.gateway.routes.bodies import json_body

__all__ = ["answering", "path", "routes"]

_PATH: Final = "/v1/pipelines/{pipeline}/predict"
_PIPELINE: Final = {"name": "pipeline", "in": "path", "required": True, "schema": {"type": "string"}}

_ABOUT: Final = """\
Answers from what the workers have stored of the event's entities and from the champion as it was last published, and
publishes the event: the stream predicts on it too, its label joins that prediction, and models learn from it.

An event without an id gets one, one without a time that of receipt. Give ids yourself to be able to ask again: an id is
predicted on once by the stream, however often it comes.
"""


def path(parts: Parts) -> str:
    """Return the path of the route for this pipeline."""
    return _PATH.format(pipeline=parts.pipeline.name)


def answering(parts: Parts) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers a request, whose caller was checked."""
    admission = parts.admission(parts.pipeline.predict_on.name)
    name = f"POST {path(parts)}"

    async def answer(request: Request) -> Response:
        with parts.traced.traced(request, name) as headers:
            admitted, listed = admission.take(await json_body(request), headers)
            answers = [_document(answer) for answer in await parts.answering.answer(admitted)]
        content = orjson.dumps(answers if listed else answers[0], default=_in_json)
        return Response(content, media_type="application/json")

    return answer


def routes(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=GuardedRoute, tags=["predictions"])
    body, answer = events_body(parts, parts.pipeline.predict_on.name), answering(parts)

    @router.post(
        _PATH,
        operation_id="predict",
        summary="Predict on an event, or on each of several.",
        description=_ABOUT,
        openapi_extra=needs(Scope.PREDICT, {"requestBody": body, "parameters": [_PIPELINE]}),
        responses=prediction_responses(parts),
        response_class=Response,
    )
    async def predict(request: Request) -> Response:
        parts.check(request.path_params["pipeline"])
        return await answer(request)

    return router


def _document(answer: Answer) -> dict[str, object]:
    return {
        "id": answer.id,
        "time": answer.time,
        "model": answer.model,
        "version": answer.version,
        "prediction": answer.score,
        "features": answer.features,
        "contributions": answer.contributions,
        "record": answer.place._asdict(),
    }


def _in_json(value: object) -> object:
    """Give what JSON has no form for: bytes, as Avro's own JSON encoding writes them."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(type(value).__name__)
