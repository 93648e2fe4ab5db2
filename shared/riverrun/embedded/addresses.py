"""Where Kafka and Redis are: read once from settings, passed on as one immutable value.

================================ ====================================================================
setting                          meaning
================================ ====================================================================
``RIVERRUN_KAFKA``               ``host:port,host:port`` or a URL (see `riverrun.embedded.kafka_url`)
``RIVERRUN_KAFKA_PASSWORD_FILE`` path of a file that holds the password of the URL's user
``RIVERRUN_KAFKA_CONFIG``        path of a file of librdkafka properties (``name=value`` lines)
``RIVERRUN_KAFKA_OPTIONS``       JSON object of librdkafka properties; wins over the others
``RIVERRUN_REDIS``               ``redis://`` or ``rediss://`` URL, as redis-py reads it
``RIVERRUN_REDIS_PASSWORD_FILE`` path of a file that holds the password of the URL's user
================================ ====================================================================
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from riverrun.embedded.client_properties import ClientProperties
from riverrun.embedded.kafka_url import kafka_client_properties
from riverrun.errors import SettingsError
from riverrun.masking import mask_url

__all__ = ["Addresses", "ExternalServers", "read_external_servers"]

KAFKA = "RIVERRUN_KAFKA"
KAFKA_CONFIG = "RIVERRUN_KAFKA_CONFIG"
KAFKA_OPTIONS = "RIVERRUN_KAFKA_OPTIONS"
REDIS = "RIVERRUN_REDIS"

_FILE_SUFFIX = "_PASSWORD_FILE"

# What may follow the scheme of a Redis URL once user and password are off. A password that was not percent-encoded puts
# other signs here, and parts of itself into what clients take as host, database or fragment.
_REDIS_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
_REDIS_DATABASE = re.compile(r"(/[0-9]*)?")
"""With an address's name before it, the setting that names the file of the password."""

_FILES = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")


@dataclass(frozen=True, slots=True, repr=False)
class Addresses:
    """The Kafka and the Redis that a run works with.

    Attributes
    ----------
    kafka : ClientProperties
        Properties for any librdkafka client; a client is made from ``dict(addresses.kafka)``.
    redis_url : str
        For ``redis.Redis.from_url``.
    embedded : bool
        Whether riverrun itself runs the Kafka, and so may make producers' topics.
    """

    kafka: ClientProperties
    redis_url: str
    embedded: bool

    def as_environment(self) -> dict[str, str]:
        """Return the settings from which a child process reads the same addresses.

        Returns
        -------
        dict of str to str
            Environment variables. They hold the passwords: pass them on, never print them.

        Examples
        --------
        >>> kafka = ClientProperties({"bootstrap.servers": "kafka:9092"})
        >>> addresses = Addresses(kafka, "redis://cache:6379/0", embedded=False)
        >>> addresses.as_environment()
        {'RIVERRUN_KAFKA': 'kafka:9092', 'RIVERRUN_REDIS': 'redis://cache:6379/0'}
        """
        options = {name: value for name, value in self.kafka.items() if name != "bootstrap.servers"}
        environment = {KAFKA: self.kafka["bootstrap.servers"]}
        if options:
            environment[KAFKA_OPTIONS] = json.dumps(options)
        return environment | {REDIS: self.redis_url}

    def __repr__(self) -> str:
        """Show the addresses without their secrets."""
        redis_url = mask_url(self.redis_url)
        return f"Addresses(kafka={self.kafka!r}, redis_url={redis_url!r}, embedded={self.embedded!r})"


@dataclass(frozen=True, slots=True, repr=False)
class ExternalServers:
    """The servers that the settings name; ``None`` for one that riverrun is to run itself."""

    kafka: ClientProperties | None
    redis_url: str | None

    def __repr__(self) -> str:
        """Show the servers without their secrets."""
        redis_url = None if self.redis_url is None else mask_url(self.redis_url)
        return f"ExternalServers(kafka={self.kafka!r}, redis_url={redis_url!r})"


def read_external_servers(environ: Mapping[str, str] = os.environ) -> ExternalServers:
    """Read which servers the settings name.

    Parameters
    ----------
    environ : Mapping of str to str
        The settings; those that are missing or blank count as not given.

    Returns
    -------
    ExternalServers
        What is named there.

    Raises
    ------
    SettingsError
        When a setting is malformed, contradicts another or names a file that is not there. No secret is in
        the message.

    Examples
    --------
    >>> read_external_servers({"RIVERRUN_KAFKA": "kafka:9092"})
    ExternalServers(kafka=ClientProperties({'bootstrap.servers': 'kafka:9092'}), redis_url=None)
    """
    return ExternalServers(kafka=_kafka(environ), redis_url=_redis_url(environ))


def _kafka(environ: Mapping[str, str]) -> ClientProperties | None:
    address = _with_password(KAFKA, environ)
    from_file = _properties_file(environ.get(KAFKA_CONFIG, "").strip())
    options = _options(environ.get(KAFKA_OPTIONS, "").strip())
    merged: dict[str, str] = dict(from_file)
    if address:
        merged |= kafka_client_properties(address)
    merged |= options
    if not merged:
        return None
    if "bootstrap.servers" not in merged:
        raise SettingsError(
            f"{KAFKA_OPTIONS} or {KAFKA_CONFIG} is set, but nothing says where the brokers are",
            hint=f"set {KAFKA} to host:port",
        )
    for name in _FILES:
        if name in merged and not Path(merged[name]).is_file():
            raise SettingsError(f"the Kafka settings name {merged[name]!r} as {name}, but there is no such file")
    return ClientProperties(merged)


def _with_password(name: str, environ: Mapping[str, str]) -> str:
    """Return the address in one setting, with the password from the file that another names."""
    file_name = name + _FILE_SUFFIX
    address, file = environ.get(name, "").strip(), environ.get(file_name, "").strip()
    if not file:
        return address
    scheme, separator, rest = address.partition("://")
    # What a user's name could hold of these is percent-encoded.
    user, at, place = rest.partition("@")
    if not separator or not at or not user or ":" in user:
        raise SettingsError(
            f"{file_name} is set, so {name} must be a URL that names a user without a password",
            hint="like kafka+sasl_ssl://user@kafka:9093" if name == KAFKA else "like rediss://user@redis:6379/0",
        )
    try:
        password = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file_name} names {file!r}, which cannot be read: {type(error).__name__}") from None
    if not password:
        raise SettingsError(f"{file_name} names {file!r}, which is empty")
    return f"{scheme}://{user}:{quote(password, safe='')}@{place}"


def _properties_file(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{KAFKA_CONFIG} names {path!r}, which cannot be read: {type(error).__name__}") from None
    properties = {}
    for number, raw_line in enumerate(text.splitlines(), start=1):
        line = raw_line.strip()
        if not line or line.startswith(("#", "!")):
            continue
        name, separator, value = line.partition("=")
        if not separator or not name.strip():
            raise SettingsError(f"{path}, line {number}, is not name=value")
        properties[name.strip()] = value.strip()
    return properties


def _options(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        options = json.loads(text)
    except ValueError:
        raise SettingsError(f"{KAFKA_OPTIONS} is not JSON", hint='like {"compression.type": "zstd"}') from None
    if not isinstance(options, dict):
        raise SettingsError(f"{KAFKA_OPTIONS} is not a JSON object", hint='like {"compression.type": "zstd"}')
    return {str(name): _as_property(name, value) for name, value in options.items()}


def _as_property(name: object, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise SettingsError(f"{KAFKA_OPTIONS}: the value of {name!r} is neither text, a number, true nor false")


def _redis_url(environ: Mapping[str, str]) -> str | None:
    url = _with_password(REDIS, environ)
    if not url:
        return None
    shown = mask_url(url)
    try:
        valid = _is_redis_url(urlsplit(url))
    except ValueError:
        valid = False
    if not valid:
        raise SettingsError(
            f"{REDIS} is {shown!r}, which is not a Redis URL",
            hint="redis://host:port/0 or rediss://user:password@host:port/0, both parts percent-encoded",
        )
    return url


def _is_redis_url(parts: SplitResult) -> bool:
    return (
        parts.scheme in {"redis", "rediss"}
        and _REDIS_HOST.fullmatch(parts.hostname or "") is not None
        and parts.port != 0
        and _REDIS_DATABASE.fullmatch(parts.path) is not None
        and not parts.fragment
    )
