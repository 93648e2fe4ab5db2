"""Reading a request's body of events."""

from __future__ import annotations

from starlette.requests import Request

from services.gateway.gate import read_body
from services.gateway.problems import Problem, ProblemKind

__all__ = ["json_body"]


async def json_body(request: Request, timeout_s: float) -> bytes:
    """Return the body of a request, which must say that it is JSON.

    Raises
    ------
    Problem
        If it is of another type, too long, or does not come in.
    """
    kind = request.headers.get("content-type", "")
    if kind != "application/json" and kind.partition(";")[0].strip().lower() != "application/json":
        raise Problem(ProblemKind.NOT_JSON, "send `Content-Type: application/json`")
    return await read_body(request.receive, timeout_s)
