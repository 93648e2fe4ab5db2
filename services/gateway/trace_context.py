"""The caller's W3C trace context, handed on with what becomes a record: what follows from a request is traced with it.

See https://www.w3.org/TR/trace-context/. What does not look like one is passed over, as the specification asks.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from riverrun.runtime.tracing import TRACEPARENT

__all__ = ["trace_headers"]

_HEADER: Final = TRACEPARENT.encode()
_CONTEXT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_headers(request: Request) -> tuple[tuple[str, bytes], ...]:
    """Return the headers that a record gets for a request: its trace context, if it has a sound one.

    Examples
    --------
    >>> context = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    >>> trace_headers(Request({"type": "http", "headers": [(b"traceparent", context)]}))
    (('traceparent', b'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),)
    >>> trace_headers(Request({"type": "http", "headers": [(b"traceparent", b"00-zz")]}))
    ()
    """
    # Read from the scope: to make the request's own headers an object takes longer than all the rest here.
    for name, value in request.scope["headers"]:
        if name == _HEADER:
            return ((TRACEPARENT, value),) if _CONTEXT.fullmatch(value) else ()
    return ()
