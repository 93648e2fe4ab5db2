"""Dead letters: list, and send again."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.convertors import StringConvertor, register_url_convertor

from riverrun.api_keys import Scope
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import NamedLetter, Parts
from services.gateway.problems import Problem, ProblemKind
from services.gateway.routes.documents import DeadLetterDocument, Replay, Replayed
from services.gateway.routes.numbers import PLAIN

__all__ = ["routes"]

_BASE = "/v1/pipelines/{pipeline}/dead-letters"
Limit = Annotated[
    int, Query(ge=1, le=1000, description="Of the newest so many in each partition.", examples=[20]), PLAIN
]
Reason = Annotated[
    str | None, Query(max_length=40, pattern="^[a-z_]+$", description="Only of this reason.", examples=["rule"])
]

Name = Annotated[str, Path(pattern=r"^[0-9]{1,6}:[0-9]{1,15}$", description="As the list names it.", examples=["0:17"])]


class _NameConvertor(StringConvertor):
    """Leaves ``replay`` to the route of that name: to ask for it by GET is a wrong method, not a wrong name."""

    regex = "(?!replay$)[^/]+"


register_url_convertor("dead_letter", _NameConvertor())


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=GuardedRoute, tags=["dead letters"])
    # A replay may read the whole topic: one at a time.
    busy = asyncio.Lock()

    @router.get(
        _BASE,
        operation_id="listDeadLetters",
        summary="List what was not accepted, the newest last.",
        description="Keys and values are cut after 1,024 bytes; asked for by its name, a dead letter comes whole.",
        openapi_extra=needs(Scope.READ),
    )
    async def letters(pipeline: str, limit: Limit = 100, reason: Reason = None) -> list[DeadLetterDocument]:
        parts.check(pipeline)
        found = await parts.asking.run(parts.archive.letters, limit, reason)
        return [_document(each) for each in found]

    @router.get(
        _BASE + "/{name:dead_letter}",
        operation_id="getDeadLetter",
        summary="Show one, with all its bytes.",
        description="The key and the value are whole, however long they are.",
        openapi_extra=needs(Scope.READ),
    )
    async def letter(pipeline: str, name: Name) -> DeadLetterDocument:
        parts.check(pipeline)
        found = await parts.asking.run(parts.archive.letter, name)
        if found is None:
            raise Problem(ProblemKind.NOT_FOUND, f"there is no dead letter {name}")
        return _document(found)

    @router.post(
        _BASE + "/replay",
        operation_id="replayDeadLetters",
        status_code=202,
        summary="Send dead letters to their topics again.",
        description="What is still bad becomes a dead letter again; what was sent twice is dropped as a duplicate.",
        openapi_extra=needs(Scope.OPERATE),
    )
    async def replay(pipeline: str, body: Replay) -> Replayed:
        parts.check(pipeline)
        async with busy:
            try:
                sent = await parts.asking.run(parts.archive.replay, body.names)
            except KeyError as error:
                raise Problem(ProblemKind.NOT_FOUND, f"there is no dead letter {error.args[0]}") from error
        return Replayed(replayed=sent)

    return router


def _document(each: NamedLetter) -> DeadLetterDocument:
    letter = each.letter
    return DeadLetterDocument(
        name=each.name,
        reason=letter.reason,
        detail=letter.detail,
        topic=letter.source.topic,
        partition=letter.source.partition,
        offset=letter.source.position,
        timestamp=letter.timestamp,
        key=_base64(letter.key),
        value=_base64(letter.value),
        cut=each.cut,
    )


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
