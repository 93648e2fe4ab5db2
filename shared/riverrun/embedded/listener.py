"""How the embedded servers let clients in: in the clear, or with TLS and passwords as in production."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from riverrun.errors import SettingsError

__all__ = ["Credentials", "Tls", "kafka_listener_properties", "kafka_url", "redis_url", "scram_record"]

_SCRAM_ITERATIONS = 8192
_USER = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates, as PEM files.

    Attributes
    ----------
    ca : Path
        The authority that clients are to trust.
    certificate : Path
        The server's certificate, for the address 127.0.0.1.
    key : Path
        Its private key (PKCS #8, not encrypted).
    """

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """The one Kafka user that may log in.

    Attributes
    ----------
    user : str
        Letters, digits, ``_`` and ``-``.
    password : str
        Any printable text without double quotes. It is in no ``repr``. With a SCRAM mechanism, what holds for
        ever is the password with which the data folder was first started.
    mechanism : str
        Kafka's SASL mechanism: ``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.

    Raises
    ------
    SettingsError
        When user or password holds a character that Kafka's configuration cannot express.
    """

    user: str
    password: str
    mechanism: str = "SCRAM-SHA-512"

    def __post_init__(self) -> None:
        """Refuse what would end a quoted word in Kafka's login configuration."""
        if not _USER.fullmatch(self.user):
            raise SettingsError("the embedded Kafka's user may hold letters, digits, '_' and '-' only")
        if not self.password.isprintable() or '"' in self.password or not self.password:
            raise SettingsError("the embedded Kafka's password must be printable text without double quotes")

    def __repr__(self) -> str:
        """Show the user, not the password."""
        return f"Credentials(user={self.user!r}, mechanism={self.mechanism!r})"


def kafka_url(port: int, tls: Tls | None, credentials: Credentials | None) -> str:
    """Return the address of the embedded Kafka, in the form of ``RIVERRUN_KAFKA``.

    Examples
    --------
    >>> kafka_url(9092, None, Credentials("ada", "a/b", "PLAIN"))
    'kafka+sasl://ada:a%2Fb@127.0.0.1:9092?mechanism=PLAIN'
    """
    security = "_".join(word for word, wanted in (("sasl", credentials), ("ssl", tls)) if wanted)
    scheme = f"kafka+{security}" if security else "kafka"
    user_info = f"{_quoted(credentials.user)}:{_quoted(credentials.password)}@" if credentials else ""
    parameters = {"mechanism": credentials.mechanism} if credentials else {}
    if tls is not None:
        parameters["ca"] = str(tls.ca)
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"{scheme}://{user_info}127.0.0.1:{port}{query}"


def redis_url(port: int, tls: Tls | None, password: str) -> str:
    """Return the address of the embedded Redis, in the form of ``RIVERRUN_REDIS``.

    Examples
    --------
    >>> redis_url(6379, None, "")
    'redis://127.0.0.1:6379/0'
    """
    user_info = f":{_quoted(password)}@" if password else ""
    query = f"?{urlencode({'ssl_ca_certs': str(tls.ca)})}" if tls else ""
    return f"{'rediss' if tls else 'redis'}://{user_info}127.0.0.1:{port}/0{query}"


def kafka_listener_properties(tls: Tls | None, credentials: Credentials | None) -> Mapping[str, str]:
    """Return the broker's properties for a listener named ``CLIENTS``.

    Parameters
    ----------
    tls, credentials : optional
        What the listener asks for. Brokers talk to themselves over the same listener, hence log in like a
        client.

    Returns
    -------
    Mapping of str to str
        Properties for ``server.properties``. SCRAM's password is not among them: it is stored when the data
        folder is formatted.
    """
    protocol = ("SASL_" if credentials else "") + ("SSL" if tls else "PLAINTEXT")
    properties = {"listener.security.protocol.map": f"CLIENTS:{protocol},CONTROLLER:PLAINTEXT"}
    if tls is not None:
        properties |= {
            "ssl.keystore.type": "PEM",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(tls.ca),
        }
    return properties | (_login_properties(credentials) if credentials else {})


def scram_record(credentials: Credentials) -> str:
    """Return what Kafka is to store of a SCRAM user: a salted hash, for command lines are public.

    Parameters
    ----------
    credentials : Credentials
        With mechanism ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.

    Returns
    -------
    str
        The argument of ``kafka-storage format --add-scram``, after RFC 5802, section 3.
    """
    algorithm = credentials.mechanism.removeprefix("SCRAM-").replace("-", "")
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac(algorithm, credentials.password.encode(), salt, _SCRAM_ITERATIONS)
    encoded_salt, encoded_salted = (base64.b64encode(part).decode("ascii") for part in (salt, salted))
    fields = f'name="{credentials.user}",salt="{encoded_salt}",saltedpassword="{encoded_salted}"'
    return f"{credentials.mechanism}=[{fields},iterations={_SCRAM_ITERATIONS}]"


def _login_properties(credentials: Credentials) -> dict[str, str]:
    mechanism = credentials.mechanism
    user, password = credentials.user, credentials.password.replace("\\", "\\\\")
    module = "scram.ScramLoginModule" if mechanism.startswith("SCRAM") else "plain.PlainLoginModule"
    jaas = f'org.apache.kafka.common.security.{module} required username="{user}" password="{password}"'
    if mechanism == "PLAIN":
        jaas += f' user_{credentials.user}="{password}"'
    return {
        "sasl.enabled.mechanisms": mechanism,
        "sasl.mechanism.inter.broker.protocol": mechanism,
        f"listener.name.clients.{mechanism.lower()}.sasl.jaas.config": f"{jaas};",
    }


def _quoted(text: str) -> str:
    return quote(text, safe="")
