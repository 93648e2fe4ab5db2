"""What can go wrong with features."""

from __future__ import annotations

from riverrun.errors import RiverrunError

__all__ = ["FeaturePlanError", "PartialFormatError", "StalePartialError"]


class FeaturePlanError(RiverrunError):
    """The features of a pipeline cannot be planned; ``riverrun check`` says so earlier, with the line."""


class PartialFormatError(RiverrunError):
    """The bytes of a stored feature partial are not what this version of riverrun writes."""


class StalePartialError(PartialFormatError):
    """A stored feature partial is sound, but of another definition of the features than this one."""
