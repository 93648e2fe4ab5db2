"""What goes wrong while a pipeline is defined or loaded, with the line that it was written on."""

from __future__ import annotations

from riverrun.errors import RiverrunError
from riverrun.pipeline.locations import Location, caller_location

__all__ = ["DefinitionError", "ExpressionError", "LoadError"]


class DefinitionError(RiverrunError):
    """Part of a pipeline's definition makes no sense by itself, whatever the rest says.

    Parameters
    ----------
    message : str
        What was wrong.
    hint : str, optional
        What to write instead.
    code : str, optional
        The problem's code, as ``riverrun check`` prints it.
    location : Location, optional
        The line; by default the innermost one outside of riverrun's pipeline package.
    """

    def __init__(
        self, message: str, *, hint: str = "", code: str = "bad-definition", location: Location | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.location = location if location is not None else caller_location()


class ExpressionError(DefinitionError):
    """An expression has no type, or cannot be compiled: an unknown field, text added to a number."""


class LoadError(DefinitionError):
    """A pipeline file cannot be read or run, or does not hold exactly one pipeline."""
