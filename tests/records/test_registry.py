"""Schema ids from a schema registry, against a small one that speaks the registry's HTTP."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from riverrun.adapters.schema_registry import RegistryIds, RegistrySettings
from riverrun.errors import RiverrunError, SettingsError, UnavailableError
from riverrun.records.avro import AvroRecord, content
from riverrun.records.compatibility import read_faults
from riverrun.records.ids import SchemaIdsError, UnknownSchemaIdError

PASSWORD = "s3cr3t-tea"
Answer = tuple[int, dict[str, Any]]


def schema(kind: str = "int", **more: object) -> AvroRecord:
    """Make a schema."""
    return {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}], **more}


class Registry:
    """What a registry knows, and how it answers the few requests that riverrun makes."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, list[int]] = {}
        self.requests: list[str] = []
        self.credentials: list[str | None] = []
        self.broken = 0

    def put(self, text: str) -> int:
        """Give a schema an id, as somebody else would."""
        number = 100 + len(self.schemas)
        self.schemas[number] = text
        return number

    def post(self, path: list[str], body: dict[str, Any]) -> Answer:
        """Answer ``POST /subjects/X/versions`` (register) and ``POST /subjects/X`` (look up)."""
        text, subject = body["schema"], path[1]
        parsed = json.loads(text)
        if parsed.get("type") != "record":
            return 422, {"error_code": 42201, "message": "Invalid schema: not a record"}
        versions = self.subjects.get(subject, [])
        known = [number for number in versions if content(json.loads(self.schemas[number])) == content(parsed)]
        if len(path) == 3:
            if any(read_faults(json.loads(self.schemas[number]), parsed) for number in versions):
                return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
            number = known[0] if known else self.put(text)
            if not known:
                self.subjects.setdefault(subject, []).append(number)
            return 200, {"id": number}
        if not known:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        version = versions.index(known[0]) + 1
        return 200, {"subject": subject, "id": known[0], "version": version, "schema": text}

    def get(self, path: list[str]) -> Answer:
        """Answer ``GET /schemas/ids/N``."""
        text = self.schemas.get(int(path[2]))
        return (404, {"error_code": 40403, "message": "Schema not found"}) if text is None else (200, {"schema": text})


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the registry."""

    registry: Registry

    def do_GET(self) -> None:
        self._answer(self.registry.get)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(lambda path: self.registry.post(path, body))

    def _answer(self, ask: Any) -> None:
        registry = self.registry
        path = self.path.partition("?")[0]
        registry.requests.append(f"{self.command} {path}")
        registry.credentials.append(self.headers["Authorization"])
        if registry.broken:
            status, document = registry.broken, {"error_code": registry.broken, "message": "no"}
        else:
            status, document = ask(path.strip("/").split("/"))
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Registry:
    """An empty registry."""
    return Registry()


@pytest.fixture
def settings(registry: Registry) -> Iterator[RegistrySettings]:
    """Where the registry listens."""

    class Own(Handler):
        pass

    Own.registry = registry
    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield RegistrySettings(f"http://127.0.0.1:{server.server_port}", {}, timeout_s=5.0, retries=0)
        server.shutdown()
        thread.join()


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
