"""Schema ids from a schema registry, through confluent-kafka's own client."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from riverrun.errors import Dependency, SettingsError, UnavailableError
from riverrun.records.avro import AvroRecord, content
from riverrun.records.ids import SchemaIdsError, UnknownSchemaIdError
from riverrun.records.lint import lint

try:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError
except ImportError as error:
    raise UnavailableError(
        f"confluent-kafka's schema registry client cannot be imported: {error}",
        hint="riverrun needs it: pip install 'confluent-kafka[schemaregistry]'",
    ) from error

__all__ = ["RegistryIds", "RegistrySettings", "RegistryUnavailableError"]

_URL: Final = "SCHEMA_REGISTRY_URL"
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_UNPROCESSABLE: Final = 422
_REFUSALS: Final = (_CONFLICT, _UNPROCESSABLE)
_VARIABLES: Final = {
    "SCHEMA_REGISTRY_BASIC_AUTH": "basic.auth.user.info",
    "SCHEMA_REGISTRY_CA": "ssl.ca.location",
    "SCHEMA_REGISTRY_CERTIFICATE": "ssl.certificate.location",
    "SCHEMA_REGISTRY_KEY": "ssl.key.location",
    "SCHEMA_REGISTRY_KEY_PASSWORD": "ssl.key.password",
}
"""Environment variables and the client's properties that they set."""


class RegistryUnavailableError(UnavailableError):
    """The schema registry does not answer, or not as one does."""

    dependency = Dependency.SCHEMA_REGISTRY


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """How to reach the registry.

    Parameters
    ----------
    url
        Its base URL; several, separated by commas, are tried in turn.
    properties
        Further properties of confluent-kafka's client: authentication and TLS. May hold secrets.
    register
        Whether new schemas are registered; if not, they must be there already.
    timeout_s
        Longest wait for one answer, in seconds.
    retries
        How often a failed request is tried again, with growing pauses.
    """

    # May hold passwords, which have no business in a log.
    url: str = field(repr=False)
    properties: Mapping[str, str] = field(repr=False)
    register: bool = True
    timeout_s: float = 10.0
    retries: int = 3

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> RegistrySettings | None:
        """Read the ``SCHEMA_REGISTRY_`` variables; None if ``SCHEMA_REGISTRY_URL`` is not set or empty.

        ``SCHEMA_REGISTRY_BASIC_AUTH`` is ``user:password``; ``_CA``, ``_CERTIFICATE`` and ``_KEY`` are paths of PEM
        files, ``_KEY_PASSWORD`` is the key's; ``_REGISTER`` is ``true`` (default) or ``false``.

        Raises
        ------
        SettingsError
            If ``SCHEMA_REGISTRY_REGISTER`` is neither true nor false, or the URL is not one.

        Examples
        --------
        >>> RegistrySettings.from_environment({}) is None
        True
        >>> RegistrySettings.from_environment({"SCHEMA_REGISTRY_URL": "http://localhost:8081"}).register
        True
        """
        env = os.environ if environment is None else environment
        url = env.get(_URL, "").strip()
        if not url:
            return None
        if not all(each.strip().startswith(("http://", "https://")) for each in url.split(",")):
            raise SettingsError(f"{_URL} is {url.split('@')[-1]!r}", hint="it starts with http:// or https://")
        register = env.get("SCHEMA_REGISTRY_REGISTER", "true").strip().lower()
        if register not in ("true", "false"):
            raise SettingsError(f"SCHEMA_REGISTRY_REGISTER is {register!r}", hint="say true or false")
        properties = {name: env[variable] for variable, name in _VARIABLES.items() if env.get(variable)}
        return cls(url, properties, register == "true")


class RegistryIds:
    """Schema ids from a schema registry; every answer is remembered, so a schema or id is asked for once.

    Parameters
    ----------
    settings
        Where it is and how to reach it.

    Raises
    ------
    SettingsError
        If the client refuses the settings (a certificate that cannot be read, malformed credentials).
    """

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._ids: dict[tuple[str, str], int] = {}
        self._schemas: dict[int, AvroRecord] = {}
        properties: dict[str, object] = {
            "url": settings.url,
            "timeout": settings.timeout_s,
            "max.retries": settings.retries,
            **settings.properties,
        }
        try:
            self._client = SchemaRegistryClient(properties)
        except (ValueError, TypeError, OSError) as error:
            raise SettingsError(
                f"the schema registry's client refuses its settings: {error}",
                hint="see the SCHEMA_REGISTRY_ variables",
            ) from error

    def id_of(self, subject: str, schema: AvroRecord) -> int:
        """Return the schema's id, registering it if it is new; see `riverrun.records.ids.SchemaIds`."""
        known = (subject, content(schema))
        with self._lock:
            if known not in self._ids:
                self._ids[known] = self._ask_id(subject, schema)
            return self._ids[known]

    def schema_of(self, schema_id: int) -> AvroRecord:
        """Return the schema with an id; see `riverrun.records.ids.SchemaIds`. Dangerous ones count as unknown."""
        with self._lock:
            if schema_id not in self._schemas:
                self._schemas[schema_id] = self._ask_schema(schema_id)
            return self._schemas[schema_id]

    def _ask_id(self, subject: str, schema: AvroRecord) -> int:
        wanted = Schema(json.dumps(schema), "AVRO")
        try:
            if self._settings.register:
                return int(self._client.register_schema(subject, wanted))
            found = self._client.lookup_schema(subject, wanted).schema_id
        except SchemaRegistryError as error:
            if error.http_status_code in _REFUSALS:
                raise SchemaIdsError(
                    f"the registry refuses the schema of {subject}: {error.error_message}",
                    hint="change the schema so that old readers and writers can live with it",
                ) from error
            if error.http_status_code == _NOT_FOUND:
                raise SchemaIdsError(
                    f"the registry does not have the schema of {subject}",
                    hint="register it, or set SCHEMA_REGISTRY_REGISTER=true",
                ) from error
            raise self._unavailable(error) from error
        except Exception as error:
            raise self._unavailable(error) from error
        if found is None:
            raise SchemaIdsError(f"the registry gives the schema of {subject} no id")
        return int(found)

    def _ask_schema(self, schema_id: int) -> AvroRecord:
        try:
            text = self._client.get_schema(schema_id).schema_str
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise UnknownSchemaIdError(f"the registry has no schema with the id {schema_id}") from error
            raise self._unavailable(error) from error
        except Exception as error:
            raise self._unavailable(error) from error
        try:
            schema = json.loads(text or "")
        except ValueError:
            schema = None
        if not isinstance(schema, dict):
            raise UnknownSchemaIdError(f"schema {schema_id} of the registry is not an Avro record")
        faults = lint(schema)
        if faults:
            raise UnknownSchemaIdError(f"schema {schema_id} of the registry is not safe to decode with: {faults[0]}")
        return schema

    def _unavailable(self, error: Exception) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"the schema registry does not answer properly: {type(error).__name__}: {error}",
            hint=f"check {_URL}, its credentials and the network",
        )
