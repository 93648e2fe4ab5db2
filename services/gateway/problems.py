"""Every error as a problem document (RFC 9457), and every kind of problem named and explained in this one place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypedDict

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from riverrun.errors import RiverrunError, SettingsError, UnavailableError

__all__ = ["PROBLEM_TYPE", "Fault", "Members", "Problem", "ProblemKind", "problem_body", "respond", "translate"]

_LOG: Final = logging.getLogger(__name__)
PROBLEM_TYPE: Final = "application/problem+json"
_LONGEST_DETAIL: Final = 500


class ProblemKind(Enum):
    """A kind of problem: its code (the last part of ``type``), HTTP status and title."""

    BAD_REQUEST = "bad-request", 400, "The request cannot be read."
    NO_KEY = "unauthenticated", 401, "There is no valid API key with the request."
    NOT_ALLOWED = "forbidden", 403, "The API key does not allow this."
    NOT_FOUND = "not-found", 404, "There is nothing here."
    METHOD = "method-not-allowed", 405, "This cannot be asked for by this method."
    CONFLICT = "conflict", 409, "This is not possible at present."
    TOO_LARGE = "too-large", 413, "The body is longer than is allowed."
    NOT_JSON = "unsupported-media-type", 415, "The body must be JSON."
    REFUSED = "invalid", 422, "The content is not acceptable."
    TOO_MANY = "too-many-requests", 429, "More requests came than are allowed."
    LONG_HEAD = "header-too-large", 431, "The request's header is longer than is allowed."
    OURS = "internal-error", 500, "The gateway failed. It is not the request's fault."
    UNAVAILABLE = "unavailable", 503, "A server that is needed does not answer, or there is too much to do."

    def __init__(self, code: str, status: int, title: str) -> None:
        self.code = code
        self.status = status
        self.title = title

    @property
    def type(self) -> str:
        """The URI that names the kind of problem."""
        return f"urn:riverrun:problem:{self.code}"


class Fault(TypedDict):
    """One thing that is wrong with a request: where it stands there, and what is wrong."""

    where: str
    what: str


class Members(TypedDict, total=False):
    """What a problem document may have beside what RFC 9457 names; `openapi_problems` describes each to callers."""

    errors: list[Fault]
    reason: str
    position: int
    error_code: int
    message: str
    troubles: dict[str, str]


_BY_STATUS: Final = {kind.status: kind for kind in ProblemKind}


class Problem(HTTPException):
    """What ends a request otherwise than asked for.

    Parameters
    ----------
    kind
        What kind of problem it is.
    detail
        What was wrong, and what the caller can do: no secrets, and nothing about the inside.
    headers
        Of the response.
    members
        Further members of the document.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        members: Members | None = None,
    ) -> None:
        super().__init__(kind.status, detail, dict(headers or {}))
        self.kind = kind
        self.members: Members = {} if members is None else members


def problem_body(problem: Problem) -> bytes:
    """Return the document as JSON."""
    kind = problem.kind
    document: dict[str, object] = {"type": kind.type, "title": kind.title, "status": kind.status}
    if problem.detail:
        document["detail"] = _shortened(problem.detail)
    return orjson.dumps({**document, **problem.members})


def _shortened(detail: str) -> str:
    # Details quote callers, whose texts may hold halves of characters that no UTF-8 can express.
    clean = detail.encode("utf-8", "replace").decode()
    return clean if len(clean) <= _LONGEST_DETAIL else f"{clean[: _LONGEST_DETAIL - 3]}..."


def respond(problem: Problem) -> Response:
    """Return the response that tells of a problem."""
    return Response(problem_body(problem), problem.kind.status, problem.headers, media_type=PROBLEM_TYPE)


def translate(error: Exception) -> Problem:
    """Return the problem that an exception is to the caller; what it was is logged when it is our fault."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(_BY_STATUS.get(error.status_code, ProblemKind.BAD_REQUEST), "", headers=error.headers)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, UnavailableError):
        return Problem(ProblemKind.UNAVAILABLE, str(error), headers={"Retry-After": "1"})
    if isinstance(error, RiverrunError) and not isinstance(error, SettingsError):
        return Problem(ProblemKind.CONFLICT, str(error))
    _LOG.error("a request failed", exc_info=error)
    return Problem(ProblemKind.OURS)


def _invalid(error: RequestValidationError) -> Problem:
    faults: list[Fault] = [
        {"where": "/".join(str(part) for part in fault["loc"]), "what": _shortened(str(fault["msg"]))}
        for fault in error.errors()[:20]
    ]
    if any(fault["type"] == "json_invalid" for fault in error.errors()):
        return Problem(ProblemKind.BAD_REQUEST, "the body is not JSON")
    first = f"{faults[0]['where']}: {faults[0]['what']}" if faults else ""
    return Problem(ProblemKind.REFUSED, first, members={"errors": faults})


async def handle(request: Request, error: Exception) -> Response:
    """Answer a request that ended in an exception."""
    del request
    return respond(translate(error))
