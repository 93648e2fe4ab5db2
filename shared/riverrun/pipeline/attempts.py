"""Running other people's code so that whatever it raises can be told instead of stopping us."""

from __future__ import annotations

from types import TracebackType
from typing import Self

__all__ = ["Attempt"]


class Attempt:
    """A block whose exception is kept as ``error`` instead of going on up; ``SystemExit`` is kept too.

    Examples
    --------
    >>> with Attempt() as attempt:
    ...     _ = {}["delay"]
    >>> attempt.told
    "KeyError: 'delay'"
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.error = error
        return isinstance(error, Exception | SystemExit)

    @property
    def told(self) -> str:
        """The exception's class and message on one line; empty if there was none."""
        if self.error is None:
            return ""
        text = " ".join(str(self.error).split())[:300]
        return f"{type(self.error).__name__}: {text}" if text else type(self.error).__name__
