"""Problems in the OpenAPI document: their schema, and a response with examples for each kind."""

from __future__ import annotations

from typing import Any, Final

from riverrun.events.reasons import Reason
from services.gateway.problems import PROBLEM_TYPE, Members, ProblemKind
from services.gateway.rule_schema import JsonSchema

__all__ = ["problem_response", "problem_schema"]

_REF: Final = {"$ref": "#/components/schemas/Problem"}
_TEXT: Final = {"type": "string"}
_FAULT: Final[JsonSchema] = {
    "type": "object",
    "required": ["where", "what"],
    "properties": {
        "where": {**_TEXT, "description": "The place in the request, its parts parted by `/`."},
        "what": {**_TEXT, "description": "What is wrong there."},
    },
    "additionalProperties": False,
}
_MEMBERS: Final[dict[str, JsonSchema]] = {
    "errors": {"type": "array", "items": _FAULT, "description": "All that is wrong with the request, the first 20."},
    "reason": {
        "type": "string",
        "enum": [reason.value for reason in Reason],
        "description": "The reason code that a dead letter would have.",
    },
    "position": {"type": "integer", "description": "Which of several events was refused, from 0."},
    "error_code": {"type": "integer", "description": "The code that clients of a schema registry look for."},
    "message": {**_TEXT, "description": "The detail, where clients of a schema registry look for it."},
    "troubles": {
        "type": "object",
        "additionalProperties": _TEXT,
        "description": "What does not work, by the part that it is wrong with.",
    },
}

_FAULTS: Final[Members] = {"errors": [{"where": "query/limit", "what": "Input should be greater than or equal to 1"}]}
_REASON: Final[Members] = {"reason": Reason.MISSING_FIELD.value, "position": 0}
_CODE: Final[Members] = {"error_code": 40401, "message": "there is no subject 'nobody'"}
_EXAMPLES: Final[dict[ProblemKind, dict[str, tuple[str, Members]]]] = {
    ProblemKind.BAD_REQUEST: {"body": ("the body is not JSON", {})},
    ProblemKind.NO_KEY: {"key": ("send `Authorization: Bearer KEY`; `riverrun keys make` makes one", {})},
    ProblemKind.NOT_ALLOWED: {"scope": ("this needs a key with the scope 'operate'", {})},
    ProblemKind.NOT_FOUND: {
        "pipeline": ("there is no pipeline 'other' here", {}),
        "subject": ("there is no subject 'nobody'", _CODE),
    },
    ProblemKind.METHOD: {"method": ("", {})},
    ProblemKind.CONFLICT: {
        "declared": ("the pipeline file declares the subscription 'on-call': change it there", {}),
        "over": ("the incident of the alert 'a1' is over", {}),
    },
    ProblemKind.TOO_LARGE: {"body": ("a body may have 1048576 bytes", {})},
    ProblemKind.NOT_JSON: {"type": ("send `Content-Type: application/json`", {})},
    ProblemKind.REFUSED: {
        "parameter": ("query/limit: Input should be greater than or equal to 1", _FAULTS),
        "event": ("field 'who' is missing and the schema gives it no default", _REASON),
    },
    ProblemKind.TOO_MANY: {"rate": ("the key allows 5000 requests a second", {})},
    ProblemKind.LONG_HEAD: {"head": ("a request's head may have 32768 bytes", {})},
    ProblemKind.OURS: {"ours": ("", {})},
    ProblemKind.UNAVAILABLE: {"work": ("too many requests are in work", {})},
}
_NOT_READY: Final[Members] = {"troubles": {"redis": "there are no features: predictions are refused"}}
_SECONDS: Final = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
_HEADERS: Final[dict[ProblemKind, dict[str, Any]]] = {
    ProblemKind.NO_KEY: {"WWW-Authenticate": {"description": "How to send a key.", "schema": _TEXT}},
    ProblemKind.METHOD: {"Allow": {"description": "The methods of this path.", "schema": _TEXT}},
    ProblemKind.TOO_MANY: {"Retry-After": _SECONDS},
    ProblemKind.UNAVAILABLE: {"Retry-After": _SECONDS},
}


def problem_schema() -> JsonSchema:
    """Return the JSON Schema of a problem document: what RFC 9457 names, and all members that are ever sent."""
    standard: dict[str, JsonSchema] = {
        "type": {
            "type": "string",
            "enum": [kind.type for kind in ProblemKind],
            "description": "The URI that names the kind of problem.",
        },
        "title": {**_TEXT, "description": "The kind of problem in words, always the same."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
        "detail": {**_TEXT, "description": "What was wrong this time, and what to do."},
    }
    return {
        "title": "Problem",
        "description": "What went wrong (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {**standard, **_MEMBERS},
        "additionalProperties": False,
    }


def problem_response(kind: ProblemKind) -> JsonSchema:
    """Return the response for a kind of problem, with its examples."""
    given = dict(_EXAMPLES[kind])
    if kind is ProblemKind.UNAVAILABLE:
        given["health"] = ("something does not work", _NOT_READY)
    examples = {name: {"value": _example(kind, *each)} for name, each in given.items()}
    content = {PROBLEM_TYPE: {"schema": _REF, "examples": examples}}
    headers = _HEADERS.get(kind)
    return {"description": kind.title, "content": content, **({} if headers is None else {"headers": headers})}


def _example(kind: ProblemKind, detail: str, members: Members) -> dict[str, object]:
    said = {"detail": detail} if detail else {}
    return {"type": kind.type, "title": kind.title, "status": kind.status, **said, **members}
