"""Where a webhook may go: a public address, found once, or a host that the operator allows by name.

A name is looked up once for each attempt, every address found is checked, and connections are made to these alone: a
name server that says something else the next moment (rebinding) is not asked again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from riverrun.delivery.public_addresses import is_public
from riverrun.errors import RiverrunError

__all__ = [
    "ALLOW",
    "Destination",
    "ForbiddenError",
    "Resolve",
    "UnresolvedError",
    "allowed_hosts",
    "locate",
    "look_up",
    "parse_url",
]

ALLOW: Final = "RIVERRUN_WEBHOOK_ALLOW"
"""Setting: hosts (``name`` or ``name:port``, separated by commas) that need not be public, nor speak TLS."""

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host; raises OSError if it has none."""

_PORTS: Final = {"https": 443, "http": 80}


class ForbiddenError(RiverrunError):
    """A webhook's address is not allowed."""


class UnresolvedError(RiverrunError):
    """A webhook's host has no address at present."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A webhook's address, taken apart, with the IP addresses to connect to: the first, or else the next.

    ``host`` is what the certificate must be for; ``target`` the path and query.
    """

    scheme: str
    host: str
    port: int
    target: str
    addresses: tuple[str, ...] = ()


def allowed_hosts(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the hosts that the operator allows.

    Examples
    --------
    >>> sorted(allowed_hosts({"RIVERRUN_WEBHOOK_ALLOW": "hooks.local, 10.0.0.7:8080"}))
    ['10.0.0.7:8080', 'hooks.local']
    """
    return frozenset(each.strip().lower() for each in environment.get(ALLOW, "").split(",") if each.strip())


def parse_url(url: str, allowed: frozenset[str] = frozenset()) -> Destination:
    """Take a webhook's URL apart and check what can be checked without looking its host up.

    Raises
    ------
    ForbiddenError
        If it is no http(s) URL, holds a user or password, is not https (unless the host is allowed), or names an
        address that is not public.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ForbiddenError("the address of a webhook is malformed", hint="write https://host/path") from None
    if parts.scheme not in _PORTS or not host or not _is_plain(url):
        raise ForbiddenError("the address of a webhook is no https URL", hint="write https://host/path")
    if "@" in parts.netloc:
        raise ForbiddenError(f"the address of the webhook at {host} holds a user", hint="the signature is the proof")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    found = Destination(parts.scheme, host, port or _PORTS[parts.scheme], target)
    if is_allowed(found, allowed):
        return found
    if parts.scheme != "https":
        raise ForbiddenError(
            f"the webhook at {host} is not https", hint=f"or let the operator name the host in {ALLOW}"
        )
    literal = _literal(host)
    if literal is not None and not is_public(literal):
        raise _not_public(host, literal)
    return found


def _is_plain(url: str) -> bool:
    """Tell whether a URL has nothing that a request line or a header could be broken with."""
    return url.isascii() and url.isprintable() and " " not in url and "\\" not in url


def is_allowed(destination: Destination, allowed: frozenset[str]) -> bool:
    """Tell whether the operator allows this host, or this host and port."""
    return bool({destination.host, f"{destination.host}:{destination.port}"} & allowed)


def look_up(host: str, port: int) -> Sequence[str]:
    """Return a host's addresses by the system's resolver."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in rows]


def locate(destination: Destination, allowed: frozenset[str], resolve: Resolve = look_up) -> Destination:
    """Look a host up, once; return the destination with the addresses to connect to, each checked.

    Raises
    ------
    ForbiddenError
        If any of its addresses is not public, and the host not allowed.
    UnresolvedError
        If it has none.
    """
    host = destination.host
    try:
        found = list(dict.fromkeys(resolve(host, destination.port)))
    except (OSError, UnicodeError) as error:
        raise UnresolvedError(f"the webhook's host {host} cannot be found: {error}") from None
    if not found:
        raise UnresolvedError(f"the webhook's host {host} has no address")
    if not is_allowed(destination, allowed):
        for text in found:
            address = _literal(text)
            if address is None or not is_public(address):
                raise _not_public(host, text)
    return Destination(destination.scheme, host, destination.port, destination.target, tuple(found))


def _literal(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _not_public(host: str, address: object) -> ForbiddenError:
    return ForbiddenError(
        f"the webhook's host {host} is at {address}, which is not a public address",
        hint=f"if that is meant, let the operator name the host in {ALLOW}",
    )
