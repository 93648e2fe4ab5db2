"""Read-only routes of a schema registry, for Avro libraries that ask one: pass ``/registry`` as its URL.

An error is a problem document with the two members that registry clients look for, ``error_code`` and ``message``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from riverrun.api_keys import Scope
from riverrun.records.ids import UnknownSchemaIdError
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts
from services.gateway.problems import Problem, ProblemKind
from services.gateway.registry import Registry, Version

__all__ = ["REGISTRY_TYPE", "routes"]

REGISTRY_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_NO_SUBJECT: Final = 40401
_NO_VERSION: Final = 40402
_NO_SCHEMA: Final = 40403
SchemaId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The id in the frame of a record.", examples=[1])]
VersionName = Annotated[
    str, Path(pattern=r"^(latest|[1-9][0-9]{0,8})$", description="A number, or `latest`.", examples=["latest"])
]
Subject = Annotated[str, Path(min_length=1, max_length=300, examples=["riverrun.Prediction"])]


class RegistryResponse(Response):
    """A document of the registry's media type."""

    media_type = REGISTRY_TYPE


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/registry", route_class=GuardedRoute, tags=["schema registry"])
    _of_schemas(router, parts.registry)
    _of_subjects(router, parts.registry)
    return router


def _get(schema: dict[str, Any], summary: str, operation_id: str) -> dict[str, Any]:
    """Return what all routes here have in common."""
    return {
        "operation_id": operation_id,
        "summary": summary,
        "openapi_extra": needs(Scope.READ),
        "response_class": RegistryResponse,
        "responses": {200: {"description": "Found.", "content": {REGISTRY_TYPE: {"schema": schema}}}},
    }


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _of_schemas(router: APIRouter, registry: Registry) -> None:
    @router.get("/schemas/types", **_get(_list(_TEXT), "The kinds of schemas.", "listSchemaTypes"))
    async def types() -> Response:
        return _found(["AVRO"])

    @router.get("/schemas/ids/{number}", **_get(_object(schema=_TEXT), "A schema by its id.", "getSchema"))
    async def schema(number: SchemaId) -> Response:
        try:
            return _found({"schema": await run_in_threadpool(registry.schema, number)})
        except UnknownSchemaIdError as error:
            raise _missing(_NO_SCHEMA, f"no schema has the id {number}") from error

    uses_schema = _list(_object(subject=_TEXT, version=_NUMBER))

    @router.get("/schemas/ids/{number}/versions", **_get(uses_schema, "What uses a schema.", "listSchemaUses"))
    async def uses(number: SchemaId) -> Response:
        found = await run_in_threadpool(registry.uses, number)
        if not found:
            raise _missing(_NO_SCHEMA, f"no schema has the id {number}")
        return _found([{"subject": each.subject, "version": each.version} for each in found])

    config = _object(compatibilityLevel=_TEXT)

    @router.get("/config", **_get(config, "How schemas may change.", "getCompatibility"))
    async def compatibility() -> Response:
        return _found({"compatibilityLevel": "FULL_TRANSITIVE"})

    @router.get("/mode", **_get(_object(mode=_TEXT), "That nothing can be registered here.", "getMode"))
    async def mode() -> Response:
        return _found({"mode": "READONLY"})


def _of_subjects(router: APIRouter, registry: Registry) -> None:
    @router.get("/subjects", **_get(_list(_TEXT), "All subjects.", "listSubjects"))
    async def subjects() -> Response:
        return _found(await run_in_threadpool(registry.subjects))

    @router.get("/subjects/{subject}/versions", **_get(_list(_NUMBER), "A subject's versions.", "listSubjectVersions"))
    async def versions(subject: Subject) -> Response:
        return _found([each.version for each in await _versions(registry, subject)])

    whole = _object(subject=_TEXT, version=_NUMBER, id=_NUMBER, schema=_TEXT)

    @router.get("/subjects/{subject}/versions/{version}", **_get(whole, "A version.", "getSubjectVersion"))
    async def version(subject: Subject, version: VersionName) -> Response:
        for each in reversed(await _versions(registry, subject)):
            if version in ("latest", str(each.version)):
                return _found(each._asdict())
        raise _missing(_NO_VERSION, f"subject {subject!r:.100} has no version {version}")


async def _versions(registry: Registry, subject: str) -> list[Version]:
    found = await run_in_threadpool(registry.versions, subject)
    if not found:
        raise _missing(_NO_SUBJECT, f"there is no subject {subject!r:.100}")
    return found


def _found(document: object) -> RegistryResponse:
    return RegistryResponse(orjson.dumps(document))


def _missing(code: int, message: str) -> Problem:
    return Problem(ProblemKind.NOT_FOUND, message, members={"error_code": code, "message": message})
