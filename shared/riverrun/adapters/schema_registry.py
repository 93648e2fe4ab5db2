"""Schema ids from a schema registry, through confluent-kafka's own client."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, ParamSpec, TypeVar

from riverrun.errors import Dependency, SettingsError, UnavailableError
from riverrun.records.avro import AvroRecord, content
from riverrun.records.ids import SchemaIdsError, SubjectVersion, UnknownSchemaIdError
from riverrun.records.lint import lint

try:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError
except ImportError as error:
    raise UnavailableError(
        f"confluent-kafka's schema registry client cannot be imported: {error}",
        hint="riverrun needs it: pip install 'confluent-kafka[schemaregistry]'",
    ) from error

__all__ = ["RegistryIds", "RegistryReader", "RegistrySettings", "RegistryUnavailableError"]

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")

_URL: Final = "SCHEMA_REGISTRY_URL"
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_UNPROCESSABLE: Final = 422
_REFUSALS: Final = (_CONFLICT, _UNPROCESSABLE)
_READING_S: Final = 3.0
"""Whoever reads for somebody who waits, waits no longer than this."""
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
        self._client = _client_of(settings)

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
            raise _unavailable(error) from error
        except Exception as error:
            raise _unavailable(error) from error
        if found is None:
            raise SchemaIdsError(f"the registry gives the schema of {subject} no id")
        return int(found)

    def _ask_schema(self, schema_id: int) -> AvroRecord:
        try:
            text = self._client.get_schema(schema_id).schema_str
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise UnknownSchemaIdError(f"the registry has no schema with the id {schema_id}") from error
            raise _unavailable(error) from error
        except Exception as error:
            raise _unavailable(error) from error
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


class RegistryReader:
    """Reads a registry for others: some subjects, whatever else it has, and never writes. Every call may take seconds.

    Schemas are told as they are, not to be decoded with.

    Parameters
    ----------
    settings
        Where it is and how to reach it; it is not asked again when it does not answer.
    own
        The subjects that may be told.

    Raises
    ------
    SettingsError
        If the client refuses the settings.
    """

    def __init__(self, settings: RegistrySettings, own: Collection[str]) -> None:
        self._own = frozenset(own)
        self._client = _client_of(replace(settings, timeout_s=min(settings.timeout_s, _READING_S), retries=0))

    def subjects(self) -> list[str]:
        """Return the subjects, sorted; raises `RegistryUnavailableError`, as all of this does."""
        return sorted(self._own.intersection(_found(self._client.get_subjects) or ()))

    def numbers(self, subject: str) -> list[int]:
        """Return the numbers of a subject's versions; none if it is not there."""
        return [] if subject not in self._own else _found(self._client.get_versions, subject) or []

    def version(self, subject: str, name: str) -> SubjectVersion | None:
        """Return a version by its number or as ``latest``, or None if it is not there."""
        if subject not in self._own:
            return None
        wanted: int | Literal["latest"] = "latest" if name == "latest" else int(name)
        found = _found(self._client.get_version, subject, wanted)
        if found is None or found.schema_id is None or found.version is None:
            return None
        return SubjectVersion(subject, found.version, found.schema_id, found.schema.schema_str or "")

    def uses(self, number: int) -> list[tuple[str, int]]:
        """Return the subjects that have a schema, and as which of their versions; none if no schema has this id."""
        found = _found(self._client.get_schema_versions, number) or []
        pairs = [(each.subject, each.version) for each in found]
        return sorted((name, version) for name, version in pairs if name in self._own and version is not None)

    def schema(self, number: int) -> str:
        """Return a schema's text.

        Raises
        ------
        UnknownSchemaIdError
            If no subject that may be told has one of this id.
        """
        found = _found(self._client.get_schema, number) if self.uses(number) else None
        if found is None or found.schema_str is None:
            raise UnknownSchemaIdError(f"the registry has no schema with the id {number}")
        return found.schema_str

    def compatibility(self) -> str:
        """Return by which rule schemas may change."""
        return _found(self._client.get_compatibility) or "NONE"


def _client_of(settings: RegistrySettings) -> SchemaRegistryClient:
    properties: dict[str, object] = {
        "url": settings.url,
        "timeout": settings.timeout_s,
        "max.retries": settings.retries,
        **settings.properties,
    }
    try:
        return SchemaRegistryClient(properties)
    except (ValueError, TypeError, OSError) as error:
        raise SettingsError(
            f"the schema registry's client refuses its settings: {error}",
            hint="see the SCHEMA_REGISTRY_ variables",
        ) from error


def _found(ask: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs) -> _Result | None:
    """Return what the registry answers, or None if it has nothing there."""
    try:
        return ask(*args, **kwargs)
    except SchemaRegistryError as error:
        if error.http_status_code == _NOT_FOUND:
            return None
        raise _unavailable(error) from error
    except Exception as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> RegistryUnavailableError:
    return RegistryUnavailableError(
        f"the schema registry does not answer properly: {type(error).__name__}: {error}",
        hint=f"check {_URL}, its credentials and the network",
    )
