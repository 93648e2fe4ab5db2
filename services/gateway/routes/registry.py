"""Read-only routes of a schema registry, for Avro libraries that ask one: pass ``/registry`` as its URL.

An error is a problem document with the two members that registry clients look for, ``error_code`` and ``message``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar, TypeVarTuple, Unpack

import orjson
from fastapi import APIRouter, Path
from starlette.responses import Response

from riverrun.api_keys import Scope
from riverrun.errors import UnavailableError
from riverrun.records.ids import UnknownSchemaIdError
from services.gateway.asking import Asking
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts
from services.gateway.problems import Problem, ProblemKind
from services.gateway.routes.numbers import PLAIN

__all__ = ["REGISTRY_TYPE", "routes"]

_LOG: Final = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")
_PAUSE_S: Final = 1.0
REGISTRY_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_NO_SUBJECT: Final = 40401
_NO_VERSION: Final = 40402
_NO_SCHEMA: Final = 40403
SchemaId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The id in the frame of a record.", examples=[1]), PLAIN]
VersionName = Annotated[
    str, Path(pattern=r"^(latest|[1-9][0-9]{0,8})$", description="A number, or `latest`.", examples=["latest"])
]
Subject = Annotated[
    str,
    Path(
        min_length=1, max_length=300, description="As the list of subjects names it.", examples=["riverrun.Prediction"]
    ),
]
_AVRO: Final = '{"type":"record","name":"Asked","fields":[{"name":"id","type":"string"}]}'


class RegistryResponse(Response):
    """A document of the registry's media type."""

    media_type = REGISTRY_TYPE


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/registry", route_class=GuardedRoute, tags=["schema registry"])
    asked = _Asked(parts)
    _of_schemas(router, asked)
    _of_subjects(router, asked)
    return router


class _Asked:
    """Asks the registry in threads of its own: one that is away holds up those who ask it, and nobody else.

    When it has not answered, whoever asks in the next moment is told so at once, and those who wait already: else each
    would wait in turn.
    """

    def __init__(self, parts: Parts) -> None:
        self.registry = parts.registry
        self._asking = Asking()
        self._not_before = 0.0

    async def __call__(self, call: Callable[[Unpack[_Args]], _Result], *args: *_Args) -> _Result:
        try:
            return await self._asking.run(self._ask, call, *args)
        except UnavailableError as error:
            # What it says names addresses, which are no business of callers.
            detail = "the schema registry does not answer"
            raise Problem(ProblemKind.UNAVAILABLE, detail, headers={"Retry-After": "1"}) from error

    def _ask(self, call: Callable[[Unpack[_Args]], _Result], *args: *_Args) -> _Result:
        if time.monotonic() < self._not_before:
            raise UnavailableError("the schema registry did not answer a moment ago")
        try:
            return call(*args)
        except UnavailableError as error:
            self._not_before = time.monotonic() + _PAUSE_S
            _LOG.warning("%s", error)
            raise


def _get(operation_id: str, summary: str, schema: dict[str, Any], example: object) -> dict[str, Any]:
    """Return what all routes here have in common; the description is the docstring of what answers."""
    content = {REGISTRY_TYPE: {"schema": schema, "example": example}}
    return {
        "operation_id": operation_id,
        "summary": summary,
        "openapi_extra": needs(Scope.READ),
        "response_class": RegistryResponse,
        "responses": {200: {"description": "Found.", "content": content}},
    }


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _of_schemas(router: APIRouter, asked: _Asked) -> None:
    registry = asked.registry

    @router.get("/schemas/types", **_get("listSchemaTypes", "The kinds of schemas.", _list(_TEXT), ["AVRO"]))
    async def types() -> Response:
        """There is one: Avro."""
        return _found(["AVRO"])

    @router.get(
        "/schemas/ids/{number}", **_get("getSchema", "A schema by its id.", _object(schema=_TEXT), {"schema": _AVRO})
    )
    async def schema(number: SchemaId) -> Response:
        """Find the schema of a record: its id stands in the frame. The schema is text: JSON within JSON."""
        try:
            return _found({"schema": await asked(registry.schema, number)})
        except UnknownSchemaIdError as error:
            raise _missing(_NO_SCHEMA, f"no schema has the id {number}") from error

    used = _list(_object(subject=_TEXT, version=_NUMBER))
    example = {"subject": "riverrun.Prediction", "version": 1}

    @router.get("/schemas/ids/{number}/versions", **_get("listSchemaUses", "What uses a schema.", used, [example]))
    async def uses(number: SchemaId) -> Response:
        """List the subjects that have a schema, and as which of their versions."""
        found = await asked(registry.uses, number)
        if not found:
            raise _missing(_NO_SCHEMA, f"no schema has the id {number}")
        return _found([{"subject": subject, "version": version} for subject, version in found])

    level = {"compatibilityLevel": "FULL_TRANSITIVE"}

    @router.get(
        "/config", **_get("getCompatibility", "How schemas may change.", _object(compatibilityLevel=_TEXT), level)
    )
    async def compatibility() -> Response:
        """Tell the rule: without a registry every version can be read with every other, else it is the registry's."""
        return _found({"compatibilityLevel": await asked(registry.compatibility)})

    @router.get(
        "/mode", **_get("getMode", "That nothing can be registered here.", _object(mode=_TEXT), {"mode": "READONLY"})
    )
    async def mode() -> Response:
        """Schemas come from the pipeline, or from the registry behind this one, which only shows them."""
        return _found({"mode": "READONLY"})


def _of_subjects(router: APIRouter, asked: _Asked) -> None:
    registry = asked.registry

    @router.get("/subjects", **_get("listSubjects", "All subjects.", _list(_TEXT), ["riverrun.Prediction"]))
    async def subjects() -> Response:
        """List what has versions of a schema: kinds of records, and the values of topics."""
        return _found(await asked(registry.subjects))

    @router.get(
        "/subjects/{subject}/versions", **_get("listSubjectVersions", "A subject's versions.", _list(_NUMBER), [1, 2])
    )
    async def versions(subject: Subject) -> Response:
        """Their numbers, from 1, in the order in which they became known."""
        found = await asked(registry.numbers, subject)
        if not found:
            raise _no_subject(subject)
        return _found(found)

    whole = _object(subject=_TEXT, version=_NUMBER, id=_NUMBER, schema=_TEXT)
    example = {"subject": "riverrun.Prediction", "version": 1, "id": 7, "schema": _AVRO}

    @router.get("/subjects/{subject}/versions/{version}", **_get("getSubjectVersion", "A version.", whole, example))
    async def version(subject: Subject, version: VersionName) -> Response:
        """Show one, by its number, or the latest: its schema, and the id that records name."""
        found = await asked(registry.version, subject, version)
        if found is not None:
            return _found({"subject": found.subject, "version": found.version, "id": found.id, "schema": found.schema})
        if not await asked(registry.numbers, subject):
            raise _no_subject(subject)
        raise _missing(_NO_VERSION, f"subject {subject!r:.100} has no version {version}")


def _found(document: object) -> RegistryResponse:
    return RegistryResponse(orjson.dumps(document))


def _missing(code: int, message: str) -> Problem:
    return Problem(ProblemKind.NOT_FOUND, message, members={"error_code": code, "message": message})


def _no_subject(subject: str) -> Problem:
    return _missing(_NO_SUBJECT, f"there is no subject {subject!r:.100}")
