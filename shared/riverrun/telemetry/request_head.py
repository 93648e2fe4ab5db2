"""The head of an HTTP/1 request, read strictly: what HTTP does not allow is refused, where others would guess."""

from __future__ import annotations

import re
from collections import defaultdict
from http import HTTPStatus
from typing import Final, NamedTuple

__all__ = ["HEAD_END", "MOST_HEAD", "Asked", "HeadError", "parse_head"]

HEAD_END: Final = b"\r\n\r\n"
MOST_HEAD: Final = 32_768
"""Most bytes of a head; the gateway's bound too."""

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST: Final = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([0-9])")
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_ABSOLUTE: Final = re.compile(r"http://[^/?]*", re.IGNORECASE)


class HeadError(ValueError):
    """A head is refused.

    Parameters
    ----------
    status
        Of the answer.
    why
        What is wrong with it.
    """

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Asked(NamedTuple):
    """What is asked for: the method and the path, without the query."""

    method: str
    path: str


def _is_framed(lengths: set[bytes], codings: set[bytes]) -> bool:
    """Tell whether it is plain how long a body is. None is read here, but what stands before us may read it."""
    if codings:
        return codings == {b"chunked"} and not lengths
    return len(lengths) < 2 and all(_LENGTH.fullmatch(length) for length in lengths)


def parse_head(head: bytes) -> Asked:
    r"""Return what a head asks for.

    Parameters
    ----------
    head
        All before the empty line that ends it.

    Raises
    ------
    HeadError
        If it is too long, or HTTP does not allow it.

    Examples
    --------
    >>> parse_head(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a")
    Asked(method='GET', path='/metrics')
    """
    if len(head) > MOST_HEAD:
        raise HeadError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a request's head may have {MOST_HEAD} bytes")
    first, *lines = head.split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        raise HeadError(HTTPStatus.BAD_REQUEST, "this is no request in HTTP/1")
    fields: defaultdict[bytes, set[bytes]] = defaultdict(set)
    hosts = 0
    for number, line in enumerate(lines, 2):
        field = _FIELD.fullmatch(line)
        if field is None:
            raise HeadError(HTTPStatus.BAD_REQUEST, f"line {number} of the head is no header")
        name = field[1].lower()
        fields[name].add(field[2].strip(b"\t ").lower())
        hosts += name == b"host"
    if hosts > 1 or (not hosts and request[3] != b"0"):
        raise HeadError(HTTPStatus.BAD_REQUEST, "a request has one header `Host`")
    if not _is_framed(fields[b"content-length"], fields[b"transfer-encoding"]):
        raise HeadError(HTTPStatus.BAD_REQUEST, "nobody can tell how long this request is")
    target = _ABSOLUTE.sub("", request[2].decode("ascii"), count=1)
    return Asked(request[1].decode("ascii"), target.partition("?")[0])
