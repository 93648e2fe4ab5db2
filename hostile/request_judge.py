"""Tells whether bytes are a request that must be refused, by a strict reading of HTTP and of an OpenAPI document.

It shares no code with what it judges: h11 reads the bytes, jsonschema holds them to what the document declares.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import h11
from jsonschema import Draft202012Validator

from hostile.strict_json import NotJsonError, strict_json

__all__ = ["RequestJudge", "Verdict"]

_MOST_HEAD: Final = 32_768
_MOST_BODY: Final = 1_048_576
_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,40})", re.ASCII)
_PLACE: Final = re.compile(r"\\{(\w+)\\}")
_END: Final = re.compile(rb"\n\r?\n")
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\n[ \t]")
"""What no head may hold: controls, and lines that go on in the next. h11 is lenient with both."""


class Verdict(Enum):
    """What bytes are."""

    MALFORMED = "a request that its route, or HTTP, must refuse"
    INCOMPLETE = "no complete request"
    VALID = "a request that nothing declared forbids"


@dataclass(frozen=True, slots=True)
class _Operation:
    """What the document says of a method at a path."""

    path: re.Pattern[str]
    method: str
    is_open: bool
    parameters: Mapping[tuple[str, str], Draft202012Validator]
    body: Draft202012Validator | None


class RequestJudge:
    """Judges the requests to one server.

    Parameters
    ----------
    document
        The OpenAPI document of its routes.
    key
        The API key that it lets in.
    known
        What the server has, by the name of the parameter of a path that names it, where the document allows any text.
    """

    def __init__(self, document: Mapping[str, Any], key: str = "", known: Mapping[str, Collection[str]] | None = None):
        self._key = key
        self._known = known or {}
        self._operations = list(_operations(document))

    def judge(self, sent: bytes) -> Verdict:
        """Return what bytes are.

        Bytes in which no head comes to its end are incomplete, whatever is wrong with them.
        """
        # Empty lines before a request are passed over.
        sent = sent.lstrip(b"\r\n")
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD)
        try:
            reader.receive_data(sent)
            request = reader.next_event()
        except h11.RemoteProtocolError:
            request = None
        if not isinstance(request, h11.Request):
            return Verdict.MALFORMED if _END.search(sent) else Verdict.INCOMPLETE
        headers = {name.decode("ascii"): value for name, value in request.headers}
        if not request.http_version.startswith(b"1.") or not _is_allowed(_END.split(sent, 1)[0], headers):
            return Verdict.MALFORMED
        return self._of_request(request, headers, reader)

    def _of_request(self, request: h11.Request, headers: Mapping[str, bytes], reader: h11.Connection) -> Verdict:
        path, query = _target(request.target.decode("ascii"))
        verdict = Verdict.MALFORMED
        for operation in self._operations:
            match = operation.path.fullmatch(path)
            if match is None or operation.method.encode() != request.method:
                continue
            if not (operation.is_open or self._lets_in(headers)) or not self._reads(operation, match, query):
                continue
            if operation.body is None:
                # Whatever else is sent, this reads none of it.
                return Verdict.VALID
            verdict = _of_body(operation.body, headers, reader)
            if verdict is Verdict.VALID:
                break
        return verdict

    def _lets_in(self, headers: Mapping[str, bytes]) -> bool:
        if not self._key or headers.get("x-api-key", b"").decode("latin-1") == self._key:
            return True
        kind, _, given = headers.get("authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("latin-1").partition(":")[2]
            except (binascii.Error, ValueError):
                return False
        return kind.lower() in ("bearer", "basic") and given.strip() == self._key

    def _reads(self, operation: _Operation, match: re.Match[str], query: Mapping[str, str]) -> bool:
        """Tell whether the parameters are what they are declared to be; what is not declared is nobody's concern."""
        for name, text in match.groupdict().items():
            schema = operation.parameters.get(("path", name))
            known = self._known.get(name)
            if not _fits(text, schema) or (known is not None and text not in known):
                return False
        declared = {name: schema for (place, name), schema in operation.parameters.items() if place == "query"}
        return all(_fits(query[name], schema) for name, schema in declared.items() if name in query)


def _is_allowed(head: bytes, headers: Mapping[str, bytes]) -> bool:
    """Tell whether HTTP allows a head that h11 could read; of two lengths, by chunks and by number, none counts."""
    if len(head) > _MOST_HEAD or _FORBIDDEN.search(head):
        return False
    return not {"transfer-encoding", "content-length"} <= headers.keys()


def _target(target: str) -> tuple[str, dict[str, str]]:
    """Return the path, decoded, and the query of a request's target; an empty path if it has none."""
    if "://" in target.partition("?")[0]:
        authority, slash, rest = target.partition("://")[2].partition("/")
        target = slash + rest if authority else ""
    path, _, query = target.partition("#")[0].partition("?")
    return unquote(path), dict(parse_qsl(query, keep_blank_values=True))


def _fits(text: str, schema: Draft202012Validator | None) -> bool:
    if schema is None:
        return True
    return (_WHOLE.fullmatch(text) is not None and schema.is_valid(int(text))) or schema.is_valid(text)


def _of_body(schema: Draft202012Validator, headers: Mapping[str, bytes], reader: h11.Connection) -> Verdict:
    if headers.get("content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        return Verdict.MALFORMED
    body = bytearray()
    try:
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return Verdict.INCOMPLETE
            body += event.data
    except h11.RemoteProtocolError:
        return Verdict.MALFORMED
    try:
        document = strict_json(bytes(body))
    except NotJsonError:
        return Verdict.MALFORMED
    return Verdict.VALID if len(body) <= _MOST_BODY and schema.is_valid(document) else Verdict.MALFORMED


def _operations(document: Mapping[str, Any]) -> Iterator[_Operation]:
    parts = {"components": document.get("components", {})}
    for path, item in document["paths"].items():
        pattern = re.compile(_PLACE.sub(r"(?P<\1>[^/\n]+)", re.escape(path)))
        for method, operation in item.items():
            parameters = {
                (each["in"], each["name"]): Draft202012Validator(parts | each["schema"])
                for each in operation.get("parameters", ())
            }
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            yield _Operation(
                pattern,
                method.upper(),
                operation.get("security") == [],
                parameters,
                None if body is None else Draft202012Validator(parts | body["schema"]),
            )
