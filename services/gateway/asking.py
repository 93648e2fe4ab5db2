"""Runs what reads the log for a request in threads, a few at a time: each reader is a Kafka client of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple, Unpack

from anyio import CapacityLimiter, to_thread

__all__ = ["Asking"]

_AT_ONCE: Final = 4

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")


class Asking:
    """Lets only so many calls run at once; the others wait.

    Parameters
    ----------
    at_once
        How many.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._limiter = CapacityLimiter(at_once)

    async def run(self, call: Callable[[Unpack[_Args]], _Result], *args: *_Args) -> _Result:
        """Return what the call returns."""
        return await to_thread.run_sync(call, *args, limiter=self._limiter)
