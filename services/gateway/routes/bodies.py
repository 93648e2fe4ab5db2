"""Reading a request's body: of events, and of documents, which are held to the same JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from riverrun.events.json_object import parse_object
from riverrun.events.reasons import RefusedError
from services.gateway.admission import unreadable
from services.gateway.gate import read_body
from services.gateway.problems import Problem, ProblemKind

__all__ = ["DocumentRequest", "json_body"]


class DocumentRequest(Request):
    """A request whose body, if its route reads one, is a JSON object.

    FastAPI would parse it by Python's own parser, which takes NaN, UTF-16 and two members of one name.
    """

    async def body(self) -> bytes:
        """Return the body.

        Raises
        ------
        Problem
            If it is of another type, too long, or does not come in.
        """
        if not hasattr(self, "_body"):
            self._body = await json_body(self)
        return self._body

    async def json(self) -> Any:
        """Return the object in the body.

        Raises
        ------
        Problem
            If it is none.
        """
        try:
            return parse_object(await self.body())
        except RefusedError as refused:
            raise unreadable(refused) from refused


async def json_body(request: Request) -> bytes:
    """Return the body of a request, which must say that it is JSON.

    Raises
    ------
    Problem
        If it is of another type, too long, or does not come in.
    """
    kind = request.headers.get("content-type", "")
    if kind != "application/json" and kind.partition(";")[0].strip().lower() != "application/json":
        raise Problem(ProblemKind.NOT_JSON, "send `Content-Type: application/json`")
    return await read_body(request.receive)
