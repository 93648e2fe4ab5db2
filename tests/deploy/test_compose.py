"""The compose file, checked where no Docker runs: against its specification, and against what it must not say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import riverrun
from riverrun.embedded.jars import KAFKA_VERSION
from riverrun.pipeline import load

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if str(service["image"]).startswith("riverrun:")}
THEIRS = sorted(set(SERVICES) - set(OURS))
STATELESS_JOBS = {"topics"}
COLLECTOR = "otel-collector"
SILENT = {COLLECTOR}
"""Whose image has nothing to ask for its health with."""
WRITING = {"kafka", "schema-registry"}
"""Whose image writes into its root file system at every start; the compose file says where."""
_PINNED = re.compile(r"[a-z0-9./_-]+:v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.-]+)?")
_SIZES = {"m": 1 << 20, "g": 1 << 30}


def size(text: str) -> int:
    """Return a memory limit in bytes."""
    return int(text[:-1]) * _SIZES[text[-1]]


def test_the_compose_file_keeps_to_the_specification() -> None:
    """The Compose Specification's own schema finds nothing wrong."""
    schema = json.loads((ROOT / "tests/deploy/compose_spec/compose-spec.json").read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(COMPOSE)] == []


def test_the_schema_would_notice() -> None:
    """A misspelt key and a wrong type are found: the check above can fail."""
    schema = json.loads((ROOT / "tests/deploy/compose_spec/compose-spec.json").read_text(encoding="utf-8"))
    for wrong in ({"read_onyl": True}, {"command": 7}):
        document = COMPOSE | {"services": SERVICES | {"learn": SERVICES["learn"] | wrong}}
        assert list(Draft202012Validator(schema).iter_errors(document))


def test_every_service_of_riverruns_is_there_and_no_other() -> None:
    """Each folder under services/ that can be started has a service of its name that starts it, and the other way."""
    startable = {file.parent.name for file in ROOT.glob("services/*/__main__.py")}
    assert set(OURS) == startable
    for name, service in OURS.items():
        assert service["command"] == ["python", "-m", f"services.{name}", "/pipeline/pipeline.py"]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    """No image is latest, a branch, or half a version."""
    assert _PINNED.fullmatch(SERVICES[name]["image"])


def test_versions_are_those_that_are_tested() -> None:
    """The image bears riverrun's version, and Kafka is the one that the tests run on."""
    assert {service["image"] for service in OURS.values()} == {f"riverrun:{riverrun.__version__}"}
    assert SERVICES["kafka"]["image"] == SERVICES["topics"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_confined(name: str) -> None:
    """Not root, a root file system that is read only, a scratch folder in memory, no capabilities, a memory limit."""
    service = OURS[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert 256 << 20 <= size(service["mem_limit"]) <= 1 << 30
    assert "privileged" not in service


@pytest.mark.parametrize("name", THEIRS)
def test_other_services_are_confined_as_far_as_they_bear_it(name: str) -> None:
    """Not root, no capabilities, no new privileges, a memory limit, read only but for those that write at a start.

    Health is checked unless it is a job that ends, or cannot be asked.
    """
    service = SERVICES[name]
    user = str(service["user"])
    assert user == "appuser" or int(user.partition(":")[0]) > 0
    assert service.get("read_only", False) == (name not in WRITING)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert size(service["mem_limit"]) >= 256 << 20
    assert ("healthcheck" in service) == (name not in STATELESS_JOBS | SILENT)


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_asked_whether_they_live(name: str) -> None:
    """The check asks the port that the settings open, for life rather than readiness: a restart mends no outage."""
    service = OURS[name]
    environment = service["environment"]
    port = environment["RIVERRUN_GATEWAY_PORT"] if name == "gateway" else environment["RIVERRUN_HEALTH_PORT"]
    *program, code = service["healthcheck"]["test"]
    assert program == ["CMD", "python", "-c"]
    assert f"http://127.0.0.1:{port}/health/live" in code
    compile(code, name, "exec")


def test_what_is_named_exists() -> None:
    """Volumes, networks, secrets and dependencies that services name are declared, and all that is declared is used."""
    used: dict[str, set[str]] = {"volumes": set(), "networks": set(), "secrets": set()}
    for service in SERVICES.values():
        used["networks"] |= set(service["networks"])
        used["secrets"] |= set(service.get("secrets", ()))
        used["volumes"] |= {name for name, *_ in _named_volumes(service)}
        assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert {kind: set(COMPOSE[kind]) for kind in used} == used
    for service in SERVICES.values():
        for source, *_ in _mounts(service):
            if source.startswith("./"):
                assert (ROOT / source).exists(), source


def _mounts(service: dict[str, Any]) -> Iterator[list[str]]:
    for volume in service.get("volumes", ()):
        if isinstance(volume, str):
            yield volume.split(":")


def _named_volumes(service: dict[str, Any]) -> Iterator[list[str]]:
    return (parts for parts in _mounts(service) if not parts[0].startswith("."))


def test_only_the_learner_holds_the_signing_key_and_writes_models() -> None:
    """Others read models and trust the public half of the key."""
    assert [name for name, service in OURS.items() if service.get("secrets")] == ["learn"]
    writers = [name for name, service in OURS.items() if "models:/models" in service["volumes"]]
    readers = [name for name, service in OURS.items() if "models:/models:ro" in service["volumes"]]
    assert (writers, sorted(readers)) == (["learn"], ["gateway", "score"])
    for name in readers:
        assert OURS[name]["environment"]["RIVERRUN_MODEL_TRUSTED_KEYS"].startswith("${RIVERRUN_MODEL_TRUSTED_KEYS:?")


def test_a_bomb_of_a_snapshot_is_refused_before_the_kernel_ends_its_container() -> None:
    """Who opens models has memory for itself, some 200 MB, and for what opening one may take."""
    openers = {name for name, each in OURS.items() if any("models:/models" in volume for volume in each["volumes"][1:])}
    assert openers == {"score", "learn", "gateway"}
    for name in openers:
        own = int(OURS[name]["mem_limit"].removesuffix("m")) - int(
            OURS[name]["environment"]["RIVERRUN_MODEL_MEMORY_MB"]
        )
        assert own >= 256, name


def published(service: dict[str, Any]) -> Iterator[str]:
    """Return the addresses of this machine that a service's ports are published on, however they are written."""
    for port in service.get("ports", ()):
        if isinstance(port, dict):
            yield str(port.get("host_ip", ""))
        else:
            # The address comes first; without one, all of them are meant.
            yield str(port).rpartition(":")[0].rpartition(":")[0]


def test_ports_are_open_to_this_machine_only() -> None:
    """Whatever is published listens on loopback; Redis, the registry and the services' health are not published.

    This is all that keeps strangers away: Kafka's listeners, Redis and the registry ask nobody who he is.
    """
    addresses = {name: set(published(service)) for name, service in SERVICES.items() if "ports" in service}
    assert set(addresses) == {"gateway", "kafka", "prometheus", "grafana"}
    assert set.union(*addresses.values()) == {"127.0.0.1"}
    assert not [name for name, service in SERVICES.items() if "network_mode" in service]
    assert COMPOSE["networks"]["inner"] == {"internal": True}


@pytest.mark.parametrize("port", ["9094:9094", "9094", 9094, "0.0.0.0:9094:9094", "[::]:9094:9094", {"target": 9094}])
def test_other_addresses_would_be_noticed(port: object) -> None:
    """Ports without an address, or with another, are none of loopback's."""
    assert list(published({"ports": [port]})) != ["127.0.0.1"]


def test_the_collector_stands_between_the_services_and_the_one_outside() -> None:
    """Who sets an endpoint has the services send to the collector here, which takes OTLP there and hands it on."""
    settings = yaml.safe_load((ROOT / "deploy/otel-collector.yml").read_text(encoding="utf-8"))
    collector = SERVICES[COLLECTOR]
    assert collector["profiles"] == ["otel"]
    assert set(collector["networks"]) == set(COMPOSE["networks"])
    port = settings["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    for service in OURS.values():
        endpoint = service["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert endpoint == f"${{OTEL_EXPORTER_OTLP_ENDPOINT:+http://{COLLECTOR}:{port}}}"
    variables = set(re.findall(r"\$\{env:(\w+)}", json.dumps(settings)))
    assert variables == {"UPSTREAM"} <= set(collector["environment"])
    assert collector["environment"]["UPSTREAM"] == "${OTEL_EXPORTER_OTLP_ENDPOINT:-}"
    (mounted,) = collector["volumes"]
    source, target, mode = mounted.split(":")
    assert (source, mode) == ("./deploy/otel-collector.yml", "ro")
    assert collector["command"] == [f"--config={target}"]


def test_the_collectors_pipelines_are_made_of_what_is_defined() -> None:
    """Each part that a pipeline names is there, each that is there is named, and the limit fits the container's."""
    settings = yaml.safe_load((ROOT / "deploy/otel-collector.yml").read_text(encoding="utf-8"))
    pipelines = settings["service"]["pipelines"]
    assert set(pipelines) == {"traces", "metrics"}
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines.values() for name in pipeline[kind]} == set(settings[kind])
    limit = settings["processors"]["memory_limiter"]
    assert limit["limit_mib"] < 0.8 * size(SERVICES[COLLECTOR]["mem_limit"]) / (1 << 20)


def test_the_default_topics_are_the_default_pipelines() -> None:
    """The topics that are created at the start are those that the flights' pipeline file reads."""
    default = re.search(r":-(.*)}", SERVICES["topics"]["environment"]["TOPICS"])
    assert default is not None
    pipeline = load(ROOT / "examples/flights/pipeline.py")
    assert sorted(default[1].split()) == sorted(stream.topic for stream in pipeline.streams)


def test_no_secret_is_written_down() -> None:
    """Passwords come from the environment, and are asked for rather than defaulted."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for line in text.splitlines():
        if re.search(r"PASSWORD|_KEYS?:", line) and "#" not in line.partition(":")[0]:
            value = line.partition(":")[2].strip()
            assert value.startswith(("${", "/")), line
            assert ":-" not in value, line
