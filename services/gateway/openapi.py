"""The OpenAPI document: what FastAPI knows of the routes, with events, problems and keys filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from riverrun import __version__
from riverrun.pipeline.schemas import Kind
from services.gateway.event_schema import JsonSchema, event_example, event_schema
from services.gateway.guarded import SCOPE
from services.gateway.openapi_problems import problem_response, problem_schema
from services.gateway.parts import Parts
from services.gateway.problems import ProblemKind
from services.gateway.routes.documents import HTTPS_URL, NewWebhook

__all__ = ["build", "events_body", "prediction_responses", "publish_responses"]

_ABOUT: Final = """\
Predictions, events, models, alerts and operation of one pipeline.

Every request but those for health needs an API key (`riverrun keys make`), as a bearer token, in the header
`X-API-Key`, or as the password of basic authentication. A key has scopes; what an operation needs is in its
`x-riverrun-scope`. Errors are problem documents (RFC 9457).
"""
_FEATURES: Final[dict[Kind, tuple[JsonSchema, Any]]] = {
    Kind.BOOL: ({"type": "boolean"}, True),
    Kind.INT: ({"type": "integer"}, 1),
    Kind.FLOAT: ({"type": "number"}, 1.5),
    Kind.TEXT: ({"type": "string"}, "text"),
    Kind.BYTES: ({"type": "string"}, "text"),
}
"""The JSON Schema of each kind of feature, and an example."""

_RECORD: Final[JsonSchema] = {
    "type": "object",
    "description": "Where the event's record lies in Kafka.",
    "required": ["topic", "partition", "offset"],
    "properties": {"topic": {"type": "string"}, "partition": {"type": "integer"}, "offset": {"type": "integer"}},
}


def events_body(parts: Parts, stream: str) -> JsonSchema:
    """Return the request body of a route that takes one event of a stream, or several."""
    admission = parts.admission(stream)
    schema, name = admission.stream.schema, f"Event-{stream}"
    rules = [rule for each in parts.pipeline.streams if each.name == stream for rule in parts.pipeline.rules_for(each)]
    example = event_example(schema, rules)
    one = {"$ref": f"#/components/schemas/{name}"}
    several = {"type": "array", "items": one, "maxItems": parts.settings.max_items}
    examples = {"one": {"value": example}, "several": {"value": [example]}}
    content = {"application/json": {"schema": {"oneOf": [one, several]}, "examples": examples}}
    # The schema of the event itself goes to the components: `build` takes it from here.
    return {"required": True, "content": content, _EVENT: (name, event_schema(schema, admission.max_text, rules))}


_EVENT: Final = "x-event"


def prediction_responses(parts: Parts) -> dict[int | str, dict[str, Any]]:
    """Return the good response of the route that predicts."""
    kinds = parts.pipeline.feature_kinds
    properties: JsonSchema = {
        name: {"anyOf": [_FEATURES[value.kind][0], {"type": "null"}]} for name, value in kinds.items()
    }
    binary = parts.pipeline.task == "binary"
    prediction: JsonSchema = {
        "type": "number",
        "description": "The probability that the label is true." if binary else "The predicted number.",
    }
    weights: JsonSchema = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
    one: JsonSchema = {
        "title": "Prediction",
        "type": "object",
        "required": ["id", "time", "model", "version", "prediction", "features", "contributions", "record"],
        "properties": {
            "id": {"type": "string", "description": "The event's."},
            "time": {"type": "integer", "description": "The event's, in milliseconds since the epoch."},
            "model": {"type": "string"},
            "version": {"type": "integer", "description": "How many examples the model had folded."},
            "prediction": prediction,
            "features": {"type": "object", "required": list(properties), "properties": properties},
            "contributions": {
                "anyOf": [weights, {"type": "null"}],
                "description": "What each of a linear model's inputs adds to its raw score; null for other models.",
            },
            "record": _RECORD,
        },
    }
    example = {
        "id": "0b7c3c1c8a2f4d7f9f6c6d0e5b1a2c3d",
        "time": 1_735_689_600_000,
        "model": parts.pipeline.champion.name,
        "version": 10_000,
        "prediction": 0.25,
        "features": {name: _FEATURES[value.kind][1] for name, value in kinds.items()},
        "contributions": {"(intercept)": -1.0},
        "record": {"topic": parts.pipeline.predict_on.topic, "partition": 0, "offset": 4711},
    }
    schema = {"oneOf": [one, {"type": "array", "items": one}]}
    examples = {"one": {"value": example}, "several": {"value": [example]}}
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {200: {"description": "Predicted, and the event is in Kafka.", "content": content}}


def publish_responses() -> dict[int | str, dict[str, Any]]:
    """Return the good response of a route that publishes."""
    record = {
        **_RECORD,
        "required": ["id", "time", *_RECORD["required"]],
        "properties": {"id": {"type": "string"}, "time": {"type": "integer"}, **_RECORD["properties"]},
    }
    records = {"type": "array", "items": record}
    schema = {"type": "object", "required": ["records"], "properties": {"records": records}}
    example = {"records": [{"id": "e1", "time": 1_735_689_600_000, "topic": "a.b", "partition": 0, "offset": 1}]}
    content = {"application/json": {"schema": schema, "example": example}}
    return {202: {"description": "Kafka has the events.", "content": content}}


def build(app: FastAPI, parts: Parts) -> JsonSchema:
    """Return the whole document."""
    document = get_openapi(
        title=f"riverrun: {parts.pipeline.name}", version=__version__, description=_ABOUT, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = problem_schema()
    if not parts.allowed_hosts:
        schemas[NewWebhook.__name__]["properties"]["url"]["pattern"] = HTTPS_URL
    components["responses"] = {kind.name: problem_response(kind) for kind in ProblemKind}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "basic": {"type": "http", "scheme": "basic", "description": "Any user, an API key as the password."},
    }
    document["security"] = [{"bearer": []}, {"header": []}, {"basic": []}]
    for operation in _operations(document):
        _complete(operation, parts, schemas)
    return document


def _operations(document: JsonSchema) -> Iterator[JsonSchema]:
    for item in document["paths"].values():
        yield from item.values()


def _complete(operation: JsonSchema, parts: Parts, schemas: JsonSchema) -> None:
    responses = operation["responses"]
    body = operation.get("requestBody")
    for kind in ProblemKind:
        if str(kind.status) in responses and kind is not ProblemKind.REFUSED:
            continue
        if body is None and kind is ProblemKind.NOT_JSON:
            continue
        if operation[SCOPE] == "none" and kind in (ProblemKind.NO_KEY, ProblemKind.NOT_ALLOWED):
            continue
        responses[str(kind.status)] = {"$ref": f"#/components/responses/{kind.name}"}
    if body is not None and _EVENT in body:
        name, schema = body.pop(_EVENT)
        schemas[name] = schema
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "pipeline":
            name = parts.pipeline.name
            parameter |= {"description": "The pipeline that this gateway serves.", "example": name}
            parameter["schema"] = {"type": "string", "enum": [name]}
    for described in (body or {}, *responses.values()):
        for media in described.get("content", {}).values():
            _exemplify(media, schemas)


def _exemplify(media: JsonSchema, schemas: JsonSchema) -> None:
    """Give a body that has no example those of its documents: pydantic puts them where few readers look."""
    if "example" in media or "examples" in media:
        return
    schema = media.get("schema", {})
    if schema.get("type") == "array":
        media["example"] = _referred(schema["items"], schemas).get("examples", [])
        return
    documents = [_referred(one, schemas) for one in schema.get("oneOf", [schema])]
    media["examples"] = {
        each["title"]: {"value": example} for each in documents for example in each.get("examples", ())[:1]
    }


def _referred(schema: JsonSchema, schemas: JsonSchema) -> JsonSchema:
    found: JsonSchema = schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
    return found
