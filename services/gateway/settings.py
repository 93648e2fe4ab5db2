"""The gateway's settings, read once from the environment at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from riverrun.errors import SettingsError

__all__ = ["GatewaySettings"]

_PREFIX: Final = "RIVERRUN_GATEWAY_"


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where the gateway listens, and what it bears from callers.

    Parameters
    ----------
    host, port
        Where to listen; port 0 for any that is free.
    rate, burst
        Requests a second that one key may make, and how many at once after a pause.
    guesses
        Requests without a valid key that one address may make a minute.
    max_body_bytes
        Longest body of a request.
    max_items
        Most events in one request.
    max_connections
        Connections that may be open at once; more are hung up on until some have ended.
    max_concurrent
        Requests in work at once; more are refused until some have ended.
    max_live
        Connections that follow the alerts at once.
    body_timeout_s
        How long a body may take to come in, in seconds.
    kafka_timeout_ms
        How long Kafka may take to confirm a record, in milliseconds.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    rate: int = 5_000
    burst: int = 10_000
    guesses: int = 60
    max_body_bytes: int = 1_048_576
    max_items: int = 1_000
    max_connections: int = 800
    max_concurrent: int = 512
    max_live: int = 64
    body_timeout_s: int = 10
    kafka_timeout_ms: int = 10_000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> GatewaySettings:
        """Read ``RIVERRUN_GATEWAY_HOST``, ``RIVERRUN_GATEWAY_PORT`` and so on.

        Raises
        ------
        SettingsError
            If a number is not a positive integer (a port may be 0).

        Examples
        --------
        >>> GatewaySettings.from_environment({"RIVERRUN_GATEWAY_PORT": "9000"}).port
        9000
        """
        env = os.environ if environment is None else environment
        numbers: dict[str, int] = {}
        for field in fields(cls):
            text = env.get(_PREFIX + field.name.upper())
            if text is None or field.name == "host":
                continue
            least = 0 if field.name == "port" else 1
            if not text.isdecimal() or int(text) < least:
                raise SettingsError(
                    f"{_PREFIX}{field.name.upper()} is {text!r}", hint=f"give a whole number from {least} up"
                )
            numbers[field.name] = int(text)
        return cls(env.get(_PREFIX + "HOST", cls().host), **numbers)
