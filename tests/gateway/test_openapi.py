"""The OpenAPI document is complete: every operation, parameter, body and answer is described, with a true example."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from starlette.exceptions import HTTPException

from services.gateway.guarded import SCOPE
from services.gateway.parts import Parts
from services.gateway.problems import Members, ProblemKind, handle
from services.gateway.routes import health
from tests.gateway.world import NAME, GatewayWorld

Node = dict[str, Any]
TEXTS = {"text/plain", "text/event-stream"}
STANDARD = {"type", "title", "status", "detail"}
PREDICT = "/v1/pipelines/{pipeline}/predict"
LIST = "/v1/pipelines/{pipeline}/alerts"


@pytest.fixture(scope="module")
def document(world: GatewayWorld) -> Node:
    """The document, as callers get it."""
    found: Node = world.ask("GET", "/openapi.json").document
    return found


def _operations(document: Node) -> Iterator[tuple[str, Node]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def _resolved(document: Node, node: Node) -> Node:
    while "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _examples(node: Node) -> list[Any]:
    """Return the examples that a parameter or a media type gives, itself or in its own schema."""
    found = [node["example"]] if "example" in node else []
    found += [each["value"] for each in node.get("examples", {}).values()]
    return found + list(node.get("schema", {}).get("examples", ()))


def _shown(document: Node, node: Node, where: str) -> Iterator[str]:
    """Look for a schema and for examples that it accepts."""
    schema = node.get("schema")
    if not schema:
        yield f"{where}: no schema"
        return
    examples = _examples(node)
    if not examples:
        yield f"{where}: no example"
    validator = Draft202012Validator({**schema, "components": document["components"]})
    for example in examples:
        for error in validator.iter_errors(example):
            yield f"{where}: the example is wrong: {error.message}"


def _contents(document: Node, content: Node, where: str) -> Iterator[str]:
    if not content:
        yield f"{where}: no content"
    for kind, media in content.items():
        if kind in TEXTS and media.get("schema", {}).get("type") != "string":
            yield f"{where}: {kind} is no text"
        yield from _shown(document, media, f"{where} as {kind}")


def _response(document: Node, status: str, response: Node, where: str) -> Iterator[str]:
    if not response.get("description"):
        yield f"{where}: no description"
    content = response.get("content", {})
    yield from _contents(document, content, where)
    for name, header in response.get("headers", {}).items():
        if not header.get("description"):
            yield f"{where}: the header {name} has no description"
    if not status.startswith("2"):
        if set(content) != {"application/problem+json"}:
            yield f"{where}: an error is no problem document: {set(content)}"
        for media in content.values():
            if media.get("schema") != {"$ref": "#/components/schemas/Problem"}:
                yield f"{where}: an error does not refer to the schema of problems"


def _bounds(schema: Node, where: str) -> Iterator[str]:
    for each in schema.get("anyOf", [schema]):
        if each.get("type") == "integer" and not {"minimum", "maximum"} <= each.keys():
            yield f"{where}: a number without bounds"


def _operation(document: Node, label: str, operation: Node) -> Iterator[str]:
    for what in ("summary", "description", "operationId", "tags", SCOPE):
        if not operation.get(what):
            yield f"{label}: no {what}"
    for each in operation.get("parameters", ()):
        where = f"{label}, parameter {each['name']}"
        if not each.get("description"):
            yield f"{where}: no description"
        yield from _shown(document, each, where)
        yield from _bounds(each.get("schema", {}), where)
    if "requestBody" in operation:
        yield from _contents(document, operation["requestBody"].get("content", {}), f"{label}, body")
    responses = operation["responses"]
    if not any(status.startswith("2") for status in responses):
        yield f"{label}: no good response"
    for status, response in responses.items():
        yield from _response(document, status, _resolved(document, response), f"{label}, {status}")


def _faults(document: Node) -> list[str]:
    return [fault for label, operation in _operations(document) for fault in _operation(document, label, operation)]


def test_every_operation_is_complete(document: Node) -> None:
    """Each is described, and so are its parameters; bodies and answers have a schema and examples that fit it."""
    assert _faults(document) == []
    assert sum(1 for _ in _operations(document)) > 25
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def _predict(document: Node) -> Node:
    operation: Node = document["paths"][PREDICT]["post"]
    return operation


def _list(document: Node) -> Node:
    operation: Node = document["paths"][LIST]["get"]
    return operation


@pytest.mark.parametrize(
    "spoil",
    [
        lambda it: _predict(it).pop("summary"),
        lambda it: _predict(it).pop("description"),
        lambda it: _predict(it)["parameters"][0].pop("description"),
        lambda it: _predict(it)["parameters"][0].pop("example"),
        lambda it: _predict(it)["parameters"][0].update(example=1),
        lambda it: _predict(it)["requestBody"]["content"]["application/json"].pop("examples"),
        lambda it: _predict(it)["requestBody"]["content"]["application/json"]["examples"]["one"].update(value={}),
        lambda it: _predict(it)["requestBody"]["content"].clear(),
        lambda it: _predict(it)["responses"].pop("200"),
        lambda it: _predict(it)["responses"]["200"].pop("content"),
        lambda it: _predict(it)["responses"]["200"]["content"]["application/json"].pop("schema"),
        lambda it: _predict(it)["responses"]["200"]["content"]["application/json"].pop("examples"),
        lambda it: _predict(it)["responses"].update({"404": {"description": "Not here."}}),
        lambda it: _list(it)["parameters"][1]["schema"]["anyOf"][0].pop("minimum"),
        lambda it: _list(it)["parameters"][3]["schema"].pop("maximum"),
        lambda it: _list(it)["responses"]["200"]["content"]["application/json"].pop("example"),
        lambda it: it["components"]["responses"]["NOT_FOUND"]["content"]["application/problem+json"].update(schema={}),
        lambda it: it["components"]["schemas"]["Problem"]["properties"].pop("title"),
    ],
)
def test_the_search_would_notice(document: Node, spoil: Callable[[Node], object]) -> None:
    """Whatever is taken out of the document, or made wrong in it, is found: the test above can fail."""
    spoilt = copy.deepcopy(document)
    spoil(spoilt)
    assert _faults(spoilt)


def test_the_schema_of_problems_has_every_member_that_is_sent(world: GatewayWorld, document: Node) -> None:
    """Its members are those that a problem can be given, no others are allowed, and real problems are as it says."""
    schema = document["components"]["schemas"]["Problem"]
    assert set(schema["properties"]) == STANDARD | set(Members.__annotations__)
    assert schema["additionalProperties"] is False
    assert all(schema["properties"][name].get("description") for name in schema["properties"])
    validator = Draft202012Validator(schema)
    base = f"/v1/pipelines/{NAME}"
    problems = [
        world.ask("GET", f"{base}/alerts?limit=0"),
        world.ask("POST", "/v1/streams/asked", {"size": 1.0}),
        world.ask("POST", "/v1/streams/asked", b"{broken"),
        world.ask("GET", "/registry/subjects/nobody/versions"),
        world.ask("GET", f"{base}/models", key="wrong"),
        world.ask("PUT", f"{base}/subscriptions/a", {"channel": "pigeon"}),
    ]
    for reply in problems:
        assert reply.headers["content-type"] == "application/problem+json"
        assert [error.message for error in validator.iter_errors(reply.document)] == [], reply
    assert set().union(*(reply.document for reply in problems)) >= STANDARD | (
        set(Members.__annotations__) - {"troubles"}
    )


class Away:
    """A gateway's readiness while Redis is away."""

    async def troubles(self) -> dict[str, str]:
        """Return what is wrong."""
        return {"redis": "there are no features"}


def test_a_gateway_that_is_not_ready_says_so_by_a_problem(document: Node) -> None:
    """It is a 503 that names what does not work, of the schema that every error has."""
    app = FastAPI()
    app.include_router(health.routes(cast("Parts", SimpleNamespace(readiness=Away()))))
    app.add_exception_handler(HTTPException, handle)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.get("/health/ready")

    response = asyncio.run(ask())
    assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
    assert response.headers["retry-after"] == "1"
    assert response.json()["troubles"] == {"redis": "there are no features"}
    Draft202012Validator(document["components"]["schemas"]["Problem"]).validate(response.json())


def test_every_kind_of_problem_is_a_response(document: Node) -> None:
    """Each kind has an example of its own type and status."""
    responses = document["components"]["responses"]
    assert set(responses) == {kind.name for kind in ProblemKind}
    for kind in ProblemKind:
        for example in _examples(responses[kind.name]["content"]["application/problem+json"]):
            assert (example["type"], example["status"], example["title"]) == (kind.type, kind.status, kind.title)
            assert example.get("detail") or kind in (ProblemKind.OURS, ProblemKind.METHOD)
