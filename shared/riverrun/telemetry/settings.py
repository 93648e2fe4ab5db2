"""The settings of health and telemetry, read once from the environment at start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from riverrun.errors import SettingsError

__all__ = ["HealthSettings", "OtlpSettings", "Sampling"]

HEALTH_PORT: Final = "RIVERRUN_HEALTH_PORT"
HEALTH_HOST: Final = "RIVERRUN_HEALTH_HOST"
TRACES_PER_SECOND: Final = "RIVERRUN_TRACES_PER_SECOND"

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SAMPLER: Final = "OTEL_TRACES_SAMPLER"
_SAMPLER_ARG: Final = "OTEL_TRACES_SAMPLER_ARG"
_PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
_INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_HEADERS: Final = tuple(f"OTEL_EXPORTER_OTLP_{signal}HEADERS" for signal in ("", "TRACES_", "METRICS_"))
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*[ !#-+\x2d-:<-\[\]-~]*", re.ASCII)
"""A header as OpenTelemetry reads it; one that it cannot read it would quote in a log, secret and all."""
_ENDPOINT_URL: Final = re.compile(
    r"https?://([^\s/?#@:]*(:[^\s/?#@:]*)?@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?(/[^\s?#@]*)?",
    re.ASCII,
)
"""Where to, as the exporters understand it; what they do not they would quote in a log, password and all."""
_MAX_PORT: Final = 65_535
_RATIO: Final = 0.001
_RATIOS: Final = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}
"""Samplers by name, and their share where it is fixed; each also with ``parentbased_`` before it."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Where health and metrics are told.

    Parameters
    ----------
    port
        TCP port; 0 for a free one.
    host
        Address to listen on.
    """

    port: int
    host: str = "127.0.0.1"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> HealthSettings | None:
        """Read ``RIVERRUN_HEALTH_PORT`` and ``RIVERRUN_HEALTH_HOST``; None without the first: nothing listens.

        Raises
        ------
        SettingsError
            If the port is none.

        Examples
        --------
        >>> HealthSettings.from_environment({"RIVERRUN_HEALTH_PORT": "8080"})
        HealthSettings(port=8080, host='127.0.0.1')
        """
        env = os.environ if environment is None else environment
        text = env.get(HEALTH_PORT, "").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
            raise SettingsError(f"{HEALTH_PORT} is {text!r}", hint="give a port from 1 to 65535, or 0 for a free one")
        return cls(int(text), env.get(HEALTH_HOST, "").strip() or "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which records are traced.

    Parameters
    ----------
    ratio
        Share of the records without a trace of their own that begin one.
    parent_based
        Whether a record that its producer traces is traced exactly if the producer sampled it.
    per_second
        Most records traced in a second: whatever producers sample, the cost is bounded.
    """

    ratio: float = _RATIO
    parent_based: bool = True
    per_second: int = 50

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Sampling:
        """Read ``OTEL_TRACES_SAMPLER``, ``OTEL_TRACES_SAMPLER_ARG`` and ``RIVERRUN_TRACES_PER_SECOND``.

        Without the first, it is ``parentbased_traceidratio`` with a ratio of 0.001, not OpenTelemetry's
        ``parentbased_always_on``: a stream has more records than anybody wants to see traces of.

        Raises
        ------
        SettingsError
            If one of them cannot be understood.

        Examples
        --------
        >>> Sampling.from_environment({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"})
        Sampling(ratio=0.25, parent_based=False, per_second=50)
        """
        env = os.environ if environment is None else environment
        name = env.get(_SAMPLER, "").strip() or "parentbased_traceidratio"
        plain = name.removeprefix("parentbased_")
        if plain not in _RATIOS:
            known = ", ".join(f"{prefix}{each}" for prefix in ("", "parentbased_") for each in _RATIOS)
            raise SettingsError(f"{_SAMPLER} is {name!r}", hint=f"riverrun knows {known}")
        fixed = _RATIOS[plain]
        ratio = _ratio(env) if fixed is None else fixed
        return cls(ratio, name != plain, _per_second(env))


def _ratio(env: Mapping[str, str]) -> float:
    text = env.get(_SAMPLER_ARG, "").strip()
    if not text:
        return _RATIO
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise SettingsError(f"{_SAMPLER_ARG} is {text!r}", hint="give a share from 0 to 1")
    return ratio


def _per_second(env: Mapping[str, str]) -> int:
    text = env.get(TRACES_PER_SECOND, "").strip()
    if not text:
        return Sampling().per_second
    if not (text.isascii() and text.isdecimal()):
        raise SettingsError(f"{TRACES_PER_SECOND} is {text!r}", hint="give a whole number")
    return int(text)


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """What is sent by OTLP; where to and how, the exporters read from OpenTelemetry's own variables.

    Parameters
    ----------
    traces, metrics
        Whether each is sent.
    interval_s
        Between two exports of metrics, in seconds.
    sampling
        Which records are traced.
    """

    traces: bool
    metrics: bool
    interval_s: float = 60.0
    sampling: Sampling = Sampling()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> OtlpSettings | None:
        """Read OpenTelemetry's standard variables; None if no endpoint is set, or all is switched off.

        Raises
        ------
        SettingsError
            If one of them asks for what riverrun does not do.

        Examples
        --------
        >>> OtlpSettings.from_environment({}) is None
        True
        >>> settings = OtlpSettings.from_environment(
        ...     {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_METRICS_EXPORTER": "none"}
        ... )
        >>> settings.traces, settings.metrics
        (True, False)
        """
        env = os.environ if environment is None else environment
        if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return None
        traces, metrics = _sends(env, "TRACES"), _sends(env, "METRICS")
        if not traces and not metrics:
            return None
        protocol = env.get(_PROTOCOL, "").strip()
        if protocol not in ("", "http/protobuf"):
            raise SettingsError(f"{_PROTOCOL} is {protocol!r}", hint="riverrun speaks http/protobuf, usually port 4318")
        _check_headers(env)
        return cls(traces, metrics, _interval_s(env), Sampling.from_environment(env))


def _sends(env: Mapping[str, str], signal: str) -> bool:
    variable = f"OTEL_{signal}_EXPORTER"
    exporter = env.get(variable, "").strip() or "otlp"
    if exporter not in ("otlp", "none"):
        raise SettingsError(f"{variable} is {exporter!r}", hint="riverrun knows otlp and none; it also serves /metrics")
    if exporter == "none":
        return False
    own = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
    return _is_endpoint(env, own if env.get(own, "") else _ENDPOINT)


def _is_endpoint(env: Mapping[str, str], variable: str) -> bool:
    """Tell whether a variable names an endpoint; raise `SettingsError` if it holds anything else."""
    endpoint = env.get(variable, "").strip()
    if not endpoint:
        return False
    found = _ENDPOINT_URL.fullmatch(endpoint)
    if found is None or not 0 < int(found["port"] or 1) <= _MAX_PORT:
        raise SettingsError(
            f"{variable} is no URL of a collector",
            hint="write http://host:4318 or https://host:4318, user and password percent-encoded if there are any; "
            "what it holds is not shown, it may be secret",
        )
    return True


def _check_headers(env: Mapping[str, str]) -> None:
    for variable in _HEADERS:
        parts = (part.strip() for part in env.get(variable, "").split(","))
        if not all(_HEADER.fullmatch(part) for part in parts if part):
            raise SettingsError(
                f"{variable} has a part that is no header",
                hint="write name=value,name=value, values URL-encoded; what it holds is not shown, it may be secret",
            )


def _interval_s(env: Mapping[str, str]) -> float:
    text = env.get(_INTERVAL, "").strip()
    if not text:
        return 60.0
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise SettingsError(f"{_INTERVAL} is {text!r}", hint="give milliseconds, a positive whole number")
    return int(text) / 1000
