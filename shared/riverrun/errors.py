"""The root of every exception that riverrun raises on purpose.

A riverrun error speaks to the person who can act: the message says what was wrong and where, the hint what to
do. Packages derive their own, more exact classes from the ones here, so that ``except RiverrunError`` catches
all of them and nothing else.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AccessDeniedError", "Dependency", "RiverrunError", "SettingsError", "UnavailableError"]


class Dependency(StrEnum):
    """What riverrun depends on while it runs: by these names metrics and health tell what is away."""

    KAFKA = "kafka"
    REDIS = "redis"
    MODEL_STORE = "model_store"
    LOCAL_STATE = "local_state"
    SCHEMA_REGISTRY = "schema_registry"
    OTHER = "other"


class RiverrunError(Exception):
    """Something that riverrun understands went wrong.

    Parameters
    ----------
    message : str
        What was wrong, and where: one sentence without secrets in it.
    hint : str, optional
        What the reader can do about it. Empty when there is nothing to advise.

    Examples
    --------
    >>> str(RiverrunError("topic 'events' has 3 partitions, expected 4", hint="recreate it"))
    "topic 'events' has 3 partitions, expected 4 (recreate it)"
    >>> RiverrunError("no such column 'tailnum'").hint
    ''
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, with the hint in brackets after it."""
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the hint when the exception crosses a process boundary: pickle forgets keyword arguments."""
        return (_rebuild, (type(self), self.args, self.__dict__))


class SettingsError(RiverrunError):
    """A setting (environment variable, file or argument) is missing, malformed or contradicts another."""


class AccessDeniedError(SettingsError):
    """A server does not know the user given, or does not let it do what is needed: to try again is of no use."""


class UnavailableError(RiverrunError):
    """A program or server that riverrun needs is missing, does not start or does not answer.

    Attributes
    ----------
    dependency : Dependency
        Which one it is. Each class that an adapter derives from this one says its own.
    """

    dependency = Dependency.OTHER


def _rebuild(kind: type[RiverrunError], args: tuple[object, ...], state: dict[str, object]) -> RiverrunError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
