"""Requests that are wrong, each in one way that its route, or HTTP itself, looks at."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from hostile.mutations import spoil

__all__ = ["Crafted", "Route", "craft", "routes_of"]

_HOST: Final = "Host: 127.0.0.1"
_JSON: Final = "application/json"
_MOST_SPOILED: Final = 70_000

_SEGMENTS: Final = (
    "",
    "..",
    "%2e%2e%2f",
    "%00",
    "%0a",
    "%ff%fe",
    "a" * 4_000,
    "-1",
    "0",
    "1_0",
    "1.0",
    "9" * 40,
    "é",
    "%",
    "{}",
    "null",
    "a%20b",
    "%0d%0aX:1",
    "*",
    ";x=1",
)
_ENDINGS: Final = ("/", "/..", "%0a", "%00", "%2f", "/%2e", ";x", "%20", "/1", ".json")
_VALUES: Final = (
    "",
    "-1",
    "-2",
    "0",
    "1001",
    "1e3",
    "1_0",
    "01",
    "%2B1",
    "%201",
    "1.0",
    "0x10",
    "x",
    "null",
    "true",
    "[]",
    "%00",
    "%ff",
    "%0a",
    "9" * 50,
    "9" * 5_000,
    "%D9%A3",
    "A",
    "a" * 41,
    "%27%3B--",
    "a%0a",
)
_LINES: Final = (
    "Content-Length: -1",
    "Content-Length: 5x",
    "Content-Length: 1\r\nContent-Length: 2",
    "Content-Length: 99999999999999999999999",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked\r\nContent-Length: 3",
    "Host: again",
    "no colon",
    "X : a space",
    ": no name",
    "X\x00: a name",
    "X: \x01",
    "X: \x00",
    "X: a\r\n folded",
    "X: a\rY: b",
    "X: " + "f" * 33_000,
    "X: " + "f" * 70_000,
    "\r\n".join(["X: y"] * 6_000),
)
_VERSIONS: Final = ("HTTP/2.0", "HTTP/0.9", "HTTP/3", "HTTP/1", "http/1.1", "HTTP/1.1 x", "HTTP/x.y", "HTTPS/1.1", "")
_METHODS: Final = ("BREW", "get", "TRACE", "OPTIONS", "PATCH", "PUT", "DELETE", "POST", "HEAD", "GET", "X" * 300, "G T")
_TYPES: Final = (
    "",
    "text/plain",
    "application/xml",
    "application/jsonp",
    "multipart/form-data; boundary=x",
    "json",
    "\xff",
)
_KEYS: Final = (
    "",
    "Authorization: Bearer",
    "Authorization: Bearer rr1.x.y",
    "Authorization: Bearer \xff\xfe",
    "Authorization: Bearer " + "k" * 9_000,
    "Authorization: Basic %%%",
    "Authorization: Basic OnJyLngueQ==",
    "Authorization: Digest x",
    "X-API-Key: rr1.x.y",
)
_ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-32", "utf-7", "utf-8-sig")


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    Parameters
    ----------
    method, path
        Of it; the path has places for parameters.
    good
        A good text for each place.
    queries
        Names of the query's parameters that it reads.
    bodies
        Good bodies; none if it reads none.
    key
        What lets a request in; empty for a route that is open to all.
    """

    method: str
    path: str
    good: Mapping[str, str] = field(default_factory=dict)
    queries: Sequence[str] = ()
    bodies: Sequence[bytes] = ()
    key: str = ""

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"{self.method} {self.path}"

    @property
    def ways(self) -> tuple[str, ...]:
        """How a request to it can be wrong; what comes more often is tried more often."""
        found = ["path", "path", "line", "line", "version", "method", "bytes"]
        found += ["query"] * 2 if self.queries else []
        found += [*(["body"] * 6), "type", "encoding"] if self.bodies else []
        return (*found, "key") if self.key else tuple(found)


class Crafted(NamedTuple):
    """The bytes of a request, and in which way they are meant to be wrong."""

    way: str
    sent: bytes


@dataclass(slots=True)
class _Request:
    """The parts of a request; good ones as long as nobody has spoiled one."""

    method: str
    path: str
    version: str
    head: list[str]
    body: bytes
    kind: str

    def written(self) -> bytes:
        """Return it as it is sent."""
        head = list(self.head)
        framed = any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in head)
        if self.body and self.kind:
            head.append(f"Content-Type: {self.kind}")
        if self.body and not framed:
            head.append(f"Content-Length: {len(self.body)}")
        line = f"{self.method} {self.path} {self.version}".rstrip(" ")
        return "\r\n".join([line, *head, "", ""]).encode("latin-1", "replace") + self.body


def routes_of(document: Mapping[str, Any], good: Mapping[str, str], key: str, bodies: Sequence[bytes]) -> list[Route]:
    """Return the routes of an OpenAPI document.

    Parameters
    ----------
    document
        The document.
    good
        A good text for each parameter of a path.
    key
        An API key that may do everything.
    bodies
        Bodies of events, beside the document's own examples.
    """
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}).get(_JSON)
            queries = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            needed = "" if operation.get("security") == [] else key
            found.append(
                Route(
                    method.upper(),
                    path,
                    good,
                    queries,
                    [] if content is None else [*_examples(content), *bodies],
                    needed,
                )
            )
    return found


def _examples(content: Mapping[str, Any]) -> Iterator[bytes]:
    if "example" in content:
        yield json.dumps(content["example"]).encode()
    for each in content.get("examples", {}).values():
        yield json.dumps(each["value"]).encode()


def craft(chance: random.Random, route: Route) -> Crafted:
    """Return a request that is wrong in one way; by chance it may be valid all the same."""
    way = chance.choice(route.ways)
    key = [f"Authorization: Bearer {route.key}"] if route.key else []
    body = chance.choice(route.bodies) if route.bodies else b""
    request = _Request(route.method, _filled(route), "HTTP/1.1", [_HOST, "Connection: close", *key], body, _JSON)
    if way == "bytes":
        return Crafted(way, spoil(chance, [request.written()]).value[:_MOST_SPOILED])
    _SPOILERS[way](chance, route, request)
    return Crafted(way, request.written())


def _filled(route: Route) -> str:
    segments = route.path.split("/")
    return "/".join(route.good.get(each[1:-1], "1") if each.startswith("{") else each for each in segments)


def _path(chance: random.Random, route: Route, request: _Request) -> None:
    kind = chance.randrange(4)
    if kind == 0:
        request.path += chance.choice(_ENDINGS)
    elif kind == 1:
        request.path = chance.choice(
            (request.path.upper(), "/" + request.path, request.path[:-1], "*", request.path[1:])
        )
    else:
        segments, places = request.path.split("/"), route.path.split("/")
        named = [number for number, each in enumerate(places) if each.startswith("{")]
        at = chance.choice(named) if named and kind == 2 else chance.randrange(1, len(segments))
        segments[at] = quote(chance.choice(_SEGMENTS), safe="%{};=*")
        request.path = "/".join(segments)


def _query(chance: random.Random, route: Route, request: _Request) -> None:
    request.path += f"?{chance.choice(route.queries)}={chance.choice(_VALUES)}"


def _body(chance: random.Random, route: Route, request: _Request) -> None:
    request.body = spoil(chance, route.bodies).value


def _encoding(chance: random.Random, route: Route, request: _Request) -> None:
    del route
    if chance.random() < 0.3:
        request.body = gzip.compress(request.body, mtime=0)
        request.head.append("Content-Encoding: gzip")
    else:
        request.body = request.body.decode().encode(chance.choice(_ENCODINGS))


def _type(chance: random.Random, route: Route, request: _Request) -> None:
    del route
    request.kind = chance.choice(_TYPES)


def _line(chance: random.Random, route: Route, request: _Request) -> None:
    del route
    if chance.random() < 0.05:
        request.head.remove(_HOST)
    else:
        request.head.insert(chance.randrange(len(request.head) + 1), chance.choice(_LINES))


def _version(chance: random.Random, route: Route, request: _Request) -> None:
    del route
    request.version = chance.choice(_VERSIONS)


def _method(chance: random.Random, route: Route, request: _Request) -> None:
    del route
    request.method = chance.choice(_METHODS)


def _key(chance: random.Random, route: Route, request: _Request) -> None:
    del route
    request.head[-1:] = [line for line in (chance.choice(_KEYS),) if line]


_SPOILERS: Final = {
    "path": _path,
    "query": _query,
    "body": _body,
    "encoding": _encoding,
    "type": _type,
    "line": _line,
    "version": _version,
    "method": _method,
    "key": _key,
}
