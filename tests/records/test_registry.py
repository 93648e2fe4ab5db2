"""Schema ids from a schema registry, against a small one that speaks the registry's HTTP."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from riverrun.adapters.schema_registry import RegistryIds, RegistryReader, RegistrySettings
from riverrun.errors import RiverrunError, SettingsError, UnavailableError
from riverrun.records.avro import AvroRecord
from riverrun.records.ids import SchemaIdsError, UnknownSchemaIdError
from tests.records.fake_registry import Registry, serving

PASSWORD = "s3cr3t-tea"


def schema(kind: str = "int", **more: object) -> AvroRecord:
    """Make a schema."""
    return {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}], **more}


@pytest.fixture
def registry() -> Registry:
    """An empty registry."""
    return Registry()


@pytest.fixture
def settings(registry: Registry) -> Iterator[RegistrySettings]:
    """Where the registry listens."""
    with serving(registry) as url:
        yield RegistrySettings(url, {}, timeout_s=5.0, retries=0)


def test_schemas_get_the_registrys_ids(registry: Registry, settings: RegistrySettings) -> None:
    """A new schema is registered under its subject; a second process gets the same id, and each asks once."""
    one, other = RegistryIds(settings), RegistryIds(settings)
    number = one.id_of("a-value", schema())
    assert registry.subjects == {"a-value": [number]}
    assert one.id_of("a-value", schema(doc="Words.")) == number
    assert registry.requests == ["POST /subjects/a-value/versions"]
    assert other.id_of("a-value", schema()) == number
    assert other.schema_of(number) == other.schema_of(number) == schema()
    assert registry.requests[1:] == ["POST /subjects/a-value/versions", f"GET /schemas/ids/{number}"]


def test_without_the_right_to_register_schemas_are_looked_up(registry: Registry, settings: RegistrySettings) -> None:
    """With registering turned off nothing is written; a schema that is not there is told with what to do."""
    reading = RegistryIds(replace(settings, register=False))
    with pytest.raises(SchemaIdsError, match=r"does not have the schema of a-value .*SCHEMA_REGISTRY_REGISTER"):
        reading.id_of("a-value", schema())
    assert registry.subjects == {}
    number = RegistryIds(settings).id_of("a-value", schema())
    assert reading.id_of("a-value", schema()) == number
    assert "POST /subjects/a-value" in registry.requests


def test_what_the_registry_refuses_is_told(settings: RegistrySettings) -> None:
    """An incompatible or invalid schema ends with the registry's words, not as an outage that is waited out."""
    ids = RegistryIds(settings)
    ids.id_of("a-value", schema("string"))
    with pytest.raises(SchemaIdsError, match="refuses the schema of a-value: Schema being registered is incompatible"):
        ids.id_of("a-value", schema("int"))
    with pytest.raises(SchemaIdsError, match="Invalid schema"):
        ids.id_of("b-value", {"type": "enum", "name": "E", "symbols": ["x"]})


def test_an_unknown_id_is_no_outage(registry: Registry, settings: RegistrySettings) -> None:
    """An id that the registry does not have is unknown, and is asked for again: it may come to be."""
    ids = RegistryIds(settings)
    with pytest.raises(UnknownSchemaIdError, match="no schema with the id 100"):
        ids.schema_of(100)
    assert registry.put(json.dumps(schema())) == 100
    assert ids.schema_of(100) == schema()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(schema("R")),
        json.dumps(
            {"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]}
        ),
        json.dumps(["null", "int"]),
        "not JSON",
    ],
    ids=["recursive", "array of null", "no record", "no JSON"],
)
def test_dangerous_schemas_count_as_unknown(registry: Registry, settings: RegistrySettings, text: str) -> None:
    """A schema that could stop the process, or is no record, is never used to decode with."""
    number = registry.put(text)
    with pytest.raises(UnknownSchemaIdError, match=f"schema {number} of the registry is not"):
        RegistryIds(settings).schema_of(number)


@pytest.mark.parametrize("status", [500, 503, 401, 403])
def test_a_registry_that_fails_is_unavailable(registry: Registry, settings: RegistrySettings, status: int) -> None:
    """Errors of the server and of access are told as unavailable, and are over when it answers again."""
    number = registry.put(json.dumps(schema()))
    ids = RegistryIds(settings)
    registry.broken = status
    with pytest.raises(UnavailableError, match="SCHEMA_REGISTRY_URL"):
        ids.id_of("a-value", schema())
    with pytest.raises(UnavailableError):
        ids.schema_of(number)
    registry.broken = 0
    assert ids.schema_of(number) == schema()


def test_credentials_are_sent_and_never_told(registry: Registry, settings: RegistrySettings) -> None:
    """User and password reach the registry, and no message, representation or cause shows them."""
    properties = {"basic.auth.user.info": f"ada:{PASSWORD}"}
    ids = RegistryIds(replace(settings, properties=properties))
    registry.broken = 401
    with pytest.raises(UnavailableError) as told:
        ids.id_of("a-value", schema())
    assert registry.credentials == ["Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()]
    assert PASSWORD not in _everything(told.value)
    assert PASSWORD not in repr(replace(settings, properties=properties))


def test_an_unreachable_registry_is_unavailable_without_its_secrets() -> None:
    """Where nothing listens, the error is an outage; a password in the URL is not in it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://ada:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}"
        settings = RegistrySettings(url, {}, timeout_s=2.0, retries=0)
        assert PASSWORD not in repr(settings)
        with pytest.raises(UnavailableError) as told:
            RegistryIds(settings).id_of("a-value", schema())
    assert PASSWORD not in _everything(told.value)


def _everything(error: RiverrunError) -> str:
    return f"{error} {error!r} {error.hint} {error.args}"


def test_settings_come_from_the_environment() -> None:
    """Each variable sets its property; without the URL there is no registry."""
    assert RegistrySettings.from_environment({"SCHEMA_REGISTRY_URL": " ", "SCHEMA_REGISTRY_CA": "ca.pem"}) is None
    found = RegistrySettings.from_environment(
        {
            "SCHEMA_REGISTRY_URL": "https://one:8081,https://two:8081",
            "SCHEMA_REGISTRY_BASIC_AUTH": f"ada:{PASSWORD}",
            "SCHEMA_REGISTRY_CA": "ca.pem",
            "SCHEMA_REGISTRY_CERTIFICATE": "own.pem",
            "SCHEMA_REGISTRY_KEY": "own.key",
            "SCHEMA_REGISTRY_KEY_PASSWORD": PASSWORD,
            "SCHEMA_REGISTRY_REGISTER": "False",
        }
    )
    assert found == RegistrySettings(
        "https://one:8081,https://two:8081",
        {
            "basic.auth.user.info": f"ada:{PASSWORD}",
            "ssl.ca.location": "ca.pem",
            "ssl.certificate.location": "own.pem",
            "ssl.key.location": "own.key",
            "ssl.key.password": PASSWORD,
        },
        register=False,
    )


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SCHEMA_REGISTRY_URL": f"ada:{PASSWORD}@registry"}, "SCHEMA_REGISTRY_URL"),
        ({"SCHEMA_REGISTRY_URL": f"http://one,ftp://ada:{PASSWORD}@two"}, "http"),
        ({"SCHEMA_REGISTRY_URL": "http://one", "SCHEMA_REGISTRY_REGISTER": "perhaps"}, "true or false"),
    ],
)
def test_wrong_settings_are_named_without_secrets(environment: dict[str, str], words: str) -> None:
    """A malformed URL or switch is refused by the variable's name; what it holds before an @ is not repeated."""
    with pytest.raises(SettingsError, match=words) as told:
        RegistrySettings.from_environment(environment)
    assert PASSWORD not in str(told.value)


def test_what_the_client_refuses_is_a_wrong_setting() -> None:
    """A certificate that is not there is told before the first request."""
    with pytest.raises(SettingsError, match="refuses its settings"):
        RegistryIds(RegistrySettings("https://one", {"ssl.ca.location": "/nowhere/ca.pem"}))


def test_a_reader_shows_its_own_subjects_and_nothing_else(registry: Registry, settings: RegistrySettings) -> None:
    """Versions and schemas are the registry's; what it has of others is as if it were not; nothing is written."""
    ids = RegistryIds(settings)
    first, second = ids.id_of("a-value", schema()), ids.id_of("a-value", schema(doc="Other.", aliases=["Q"]))
    foreign = ids.id_of("foreign", {**schema(), "name": "Foreign"})
    assert first != second
    before = len(registry.requests)
    reader = RegistryReader(settings, {"a-value", "not-yet"})
    assert (reader.subjects(), reader.numbers("a-value"), reader.numbers("not-yet")) == (["a-value"], [1, 2], [])
    one, latest = reader.version("a-value", "1"), reader.version("a-value", "latest")
    assert one is not None
    assert latest is not None
    assert (one.subject, one.version, one.id) == ("a-value", 1, first)
    assert (latest.version, latest.id, json.loads(latest.schema)["doc"]) == (2, second, "Other.")
    assert reader.version("a-value", "3") is None
    assert (reader.uses(first), json.loads(reader.schema(first))) == ([("a-value", 1)], schema())
    assert (reader.numbers("foreign"), reader.version("foreign", "latest"), reader.uses(foreign)) == ([], None, [])
    for unknown in (foreign, 9_999):
        with pytest.raises(UnknownSchemaIdError):
            reader.schema(unknown)
    assert reader.compatibility() == "BACKWARD"
    assert {request.split()[0] for request in registry.requests[before:]} == {"GET"}


def test_a_reader_does_not_wait_for_a_registry_that_is_away(registry: Registry, settings: RegistrySettings) -> None:
    """Whoever asks is told soon, whether it fails or is silent."""
    reader = RegistryReader(replace(settings, timeout_s=0.2, retries=3), {"a-value"})
    began = time.monotonic()
    for registry.broken, registry.pause_s in ((500, 0.0), (0, 1.0)):
        for ask in (reader.subjects, lambda: reader.numbers("a-value"), lambda: reader.schema(100)):
            with pytest.raises(UnavailableError):
                ask()
    assert time.monotonic() - began < 5
