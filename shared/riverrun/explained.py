"""Codes that carry their explanation, so that each is named and explained in one place."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = ["ExplainedCode"]


class ExplainedCode(StrEnum):
    """An enumeration of texts, each with an ``explanation``.

    Examples
    --------
    >>> class Colour(ExplainedCode):
    ...     RED = "red", "That of a ripe tomato."
    >>> Colour("red").explanation, str(Colour.RED)
    ('That of a ripe tomato.', 'red')
    """

    explanation: str

    def __new__(cls, code: str, explanation: str) -> Self:
        """Make a member from its code and its explanation."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.explanation = explanation
        return member
