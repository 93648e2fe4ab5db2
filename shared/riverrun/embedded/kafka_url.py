"""Kafka addresses as one URL: where the brokers are, and how to prove who is calling.

=====================  ====================  ===========================================
scheme                 security protocol     needs
=====================  ====================  ===========================================
none, ``kafka://``     ``PLAINTEXT``         nothing more
``kafka+ssl://``       ``SSL``               ``ca`` unless the system trusts the brokers
``kafka+sasl://``      ``SASL_PLAINTEXT``    user and password
``kafka+sasl_ssl://``  ``SASL_SSL``          user and password
=====================  ====================  ===========================================

User and password are percent-encoded. Parameters: ``mechanism`` (``SCRAM-SHA-512`` unless said), ``ca``,
``cert`` and ``key`` (paths of PEM files). Whatever else librdkafka can do is reached through
``RIVERRUN_KAFKA_OPTIONS``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from riverrun.embedded.client_properties import ClientProperties
from riverrun.errors import SettingsError
from riverrun.masking import mask_url

__all__ = ["kafka_client_properties"]

DEFAULT_PORT = 9092
DEFAULT_MECHANISM = "SCRAM-SHA-512"
PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_PROTOCOLS = {
    "kafka": "PLAINTEXT",
    "kafka+ssl": "SSL",
    "kafka+sasl": "SASL_PLAINTEXT",
    "kafka+sasl_ssl": "SASL_SSL",
}
_FILE_PARAMETERS = {"ca": "ssl.ca.location", "cert": "ssl.certificate.location", "key": "ssl.key.location"}
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_MAX_PORT = 65535


def kafka_client_properties(address: str) -> ClientProperties:
    """Turn an address into the properties of a librdkafka client.

    Parameters
    ----------
    address : str
        ``host:port,host:port`` or a URL, as the module describes. A port left out is 9092.

    Returns
    -------
    ClientProperties
        With ``bootstrap.servers`` and, for URLs other than ``kafka://``, ``security.protocol`` and what it
        needs.

    Raises
    ------
    SettingsError
        When the address cannot be meant. The message never holds the password.

    Examples
    --------
    >>> dict(kafka_client_properties("kafka-1:9092,kafka-2"))
    {'bootstrap.servers': 'kafka-1:9092,kafka-2:9092'}
    >>> kafka_client_properties("kafka+sasl_ssl://ada:p%40ss@kafka:9093?ca=/etc/ca.pem")["sasl.password"]
    'p@ss'
    """
    shown = mask_url(address)
    scheme, separator, rest = address.strip().partition("://")
    if not separator:
        scheme, rest = "kafka", address.strip()
    protocol = _PROTOCOLS.get(scheme.lower())
    if protocol is None:
        raise SettingsError(
            f"Kafka address {shown!r} has an unknown scheme", hint=f"use one of {', '.join(_PROTOCOLS)}"
        )
    authority, _, query = rest.partition("?")
    user_info, has_user, hosts = authority.rpartition("@")
    properties = {"bootstrap.servers": _bootstrap(hosts.rstrip("/"), shown)}
    if protocol != "PLAINTEXT":
        properties["security.protocol"] = protocol
    parameters = _parameters(query, shown)
    if protocol.startswith("SASL"):
        properties |= _sasl(user_info, parameters.pop("mechanism", DEFAULT_MECHANISM), shown)
    elif has_user:
        raise SettingsError(
            f"Kafka address {shown!r} names a user, but its scheme has no login",
            hint="use kafka+sasl:// or kafka+sasl_ssl://",
        )
    elif "mechanism" in parameters:
        raise SettingsError(f"Kafka address {shown!r} names a mechanism, but its scheme has no login")
    if parameters and not protocol.endswith("SSL"):
        raise SettingsError(
            f"Kafka address {shown!r} names certificates, but its scheme has no TLS",
            hint="use kafka+ssl:// or kafka+sasl_ssl://",
        )
    properties |= {_FILE_PARAMETERS[name]: value for name, value in parameters.items()}
    return ClientProperties(properties)


def _bootstrap(hosts: str, shown: str) -> str:
    servers = []
    for host_and_port in hosts.split(","):
        match = _HOST_AND_PORT.fullmatch(host_and_port.strip())
        port = int(match["port"] or DEFAULT_PORT) if match else 0
        if match is None or not 0 < port <= _MAX_PORT:
            raise SettingsError(
                f"Kafka address {shown!r} is not host:port, nor a list of them",
                hint="separate brokers by commas; percent-encode special characters in user and password",
            )
        servers.append(f"{match['host']}:{port}")
    return ",".join(servers)


def _parameters(query: str, shown: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, strict_parsing=bool(query), keep_blank_values=True)
    except ValueError:
        raise SettingsError(f"Kafka address {shown!r} has a malformed query") from None
    known = ("mechanism", *_FILE_PARAMETERS)
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise SettingsError(
                f"Kafka address {shown!r} has an unknown parameter",
                hint=f"known are {', '.join(known)}; other properties go into RIVERRUN_KAFKA_OPTIONS",
            )
        if not value or name in parameters:
            raise SettingsError(f"Kafka address {shown!r}: parameter {name!r} must stand there once, with a value")
        parameters[name] = value
    return parameters


def _sasl(user_info: str, mechanism: str, shown: str) -> Mapping[str, str]:
    user, _, password = user_info.partition(":")
    if not user or not password:
        raise SettingsError(
            f"Kafka address {shown!r} needs a user and a password",
            hint="kafka+sasl_ssl://user:password@host:port, both percent-encoded",
        )
    if mechanism.upper() not in PASSWORD_MECHANISMS:
        raise SettingsError(
            f"Kafka address {shown!r} asks for an unknown SASL mechanism",
            hint=f"use one of {', '.join(PASSWORD_MECHANISMS)}; others go through RIVERRUN_KAFKA_OPTIONS",
        )
    return {
        "sasl.mechanism": mechanism.upper(),
        "sasl.username": unquote(user),
        "sasl.password": unquote(password),
    }
