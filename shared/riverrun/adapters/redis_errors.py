"""What an error of Redis means to whoever can act on it."""

from __future__ import annotations

from typing import Final

from redis import exceptions

from riverrun.errors import AccessDeniedError
from riverrun.runtime.ports import PartialsUnavailableError

__all__ = ["denial", "translated"]


def translated(where: str, error: exceptions.RedisError) -> PartialsUnavailableError | AccessDeniedError:
    """Return the exception to raise for an error of the server ``where``."""
    if str(error).startswith(_DENIED_IN_FUNCTION):
        error = exceptions.NoPermissionError()
    refused = denial(where, error)
    if refused is not None:
        return refused
    for kind, problem, hint in _PROBLEMS:
        if isinstance(error, kind):
            return PartialsUnavailableError(f"{where} {problem}", hint=hint)
    # Messages of the server quote commands, never credentials.
    return PartialsUnavailableError(f"{where} refused: {str(error)[:200]}")


def denial(where: str, error: exceptions.RedisError) -> AccessDeniedError | None:
    """Return the exception to raise if the server ``where`` does not know this user or does not let it; else None."""
    for kind, problem, hint in _DENIALS:
        if isinstance(error, kind):
            return AccessDeniedError(f"{where} {problem}", hint=hint)
    return None


_DENIED_IN_FUNCTION: Final = ("ACL failure in script", "The user executing the script can't")
"""How an error begins that says that a function called what its caller may not: since Redis 7.2, and before."""

_DENIALS: Final[tuple[tuple[type[exceptions.RedisError], str, str], ...]] = (
    (
        exceptions.AuthenticationError,
        "does not accept the credentials",
        "check the user and the password in RIVERRUN_REDIS and RIVERRUN_REDIS_PASSWORD_FILE",
    ),
    (
        exceptions.NoPermissionError,
        "does not permit this user what is needed",
        "`riverrun access FILE` tells what each service needs",
    ),
)
"""What the operator must put right, before anything else is of use."""

_PROBLEMS: Final[tuple[tuple[type[exceptions.RedisError], str, str], ...]] = (
    (
        exceptions.OutOfMemoryError,
        "is out of memory",
        "raise maxmemory, or shorten windows; nothing is lost meanwhile",
    ),
    (
        exceptions.ReadOnlyError,
        "is a read-only replica",
        "connect to the primary; after a failover this passes",
    ),
    (exceptions.BusyLoadingError, "is loading its data", "it will answer when it has finished"),
    (
        exceptions.MovedError,
        "is part of a cluster",
        "connect to a single server, or to a proxy in front of the cluster",
    ),
    (exceptions.TimeoutError, "did not answer in time", "check its load and the network"),
    (exceptions.ConnectionError, "cannot be reached", "check that it runs and that the address is right"),
)
