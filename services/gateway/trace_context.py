"""The caller's W3C trace context, handed on with what becomes a record: what follows from a request is traced with it.

See https://www.w3.org/TR/trace-context/. What does not look like one is passed over, as the specification asks. Where
the gateway traces, the request has a span of its own, and the records are below that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.requests import Request

from riverrun.runtime.tracing import TRACEPARENT, TRACESTATE, RequestTracing
from services.gateway.problems import Problem

__all__ = ["Headers", "TracedRequests"]

Headers = tuple[tuple[str, bytes], ...]
"""What the records that a request becomes carry."""

_PARENT: Final = TRACEPARENT.encode()
_STATE: Final = TRACESTATE.encode()
_SERVERS: Final = 500
_GONE: Final = "the caller has gone"
_CONTEXT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class TracedRequests:
    """Traces requests, if there is anything to trace with, and knows what their records carry.

    Parameters
    ----------
    tracing
        Decides which are traced; None to trace none, and only hand on what came.

    Examples
    --------
    >>> def carried(context):
    ...     request = Request({"type": "http", "headers": [(b"traceparent", context)]})
    ...     with TracedRequests().traced(request, "POST /") as headers:
    ...         return headers
    >>> carried(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    (('traceparent', b'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),)
    >>> carried(b"00-zz")
    ()
    """

    def __init__(self, tracing: RequestTracing | None = None) -> None:
        self._tracing = tracing

    @contextmanager
    def traced(self, request: Request, name: str) -> Iterator[Headers]:
        """Trace a request while it is answered, if it is to be; give what its records carry."""
        parent, state = _context(request)
        tracing, trace = self._tracing, None
        if tracing is not None and (parent or tracing.due()):
            trace = tracing.serve(name, parent.decode(), state.decode("ascii", "replace"))
        if trace is None:
            yield tuple((header, value) for header, value in ((TRACEPARENT, parent), (TRACESTATE, state)) if value)
            return
        wrong = _GONE
        try:
            yield tuple((header, value or b"") for header, value in trace.headers)
            wrong = ""
        except Problem as problem:
            # What the caller did wrong is no error of the server.
            wrong = problem.kind.code if problem.kind.status >= _SERVERS else ""
            raise
        except Exception as error:
            wrong = type(error).__name__
            raise
        finally:
            # In any case: the records may be there, and name it as their parent.
            trace.ended(wrong)


def _context(request: Request) -> tuple[bytes, bytes]:
    """Return a request's trace context, and what vendors have added; empty if it has no sound one."""
    parent = state = b""
    # Read from the scope: to make the request's own headers an object takes longer than all the rest here.
    for name, value in request.scope["headers"]:
        if name == _PARENT:
            parent = value
        elif name == _STATE:
            state = value
    return (parent, state) if parent and _CONTEXT.fullmatch(parent) else (b"", b"")
