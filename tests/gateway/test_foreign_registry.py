"""Where the pipeline uses a schema registry, the gateway shows what that says of the pipeline's subjects."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from riverrun.embedded import EmbeddedCluster
from tests.gateway.world import GatewayWorld, until
from tests.records.fake_registry import Registry, serving

NAME = "gwforeign"
STREAM = f"{NAME}-raw.asked-value"


@pytest.fixture(scope="module")
def registry() -> Registry:
    """A registry with the schemas of somebody else in it."""
    made = Registry()
    number = made.put(json.dumps({"type": "record", "name": "Secret", "fields": []}))
    made.subjects["payroll-value"] = [number]
    return made


@pytest.fixture(scope="module")
def foreign(
    tmp_path_factory: pytest.TempPathFactory, cluster: EmbeddedCluster, registry: Registry
) -> Iterator[GatewayWorld]:
    """A gateway whose pipeline has its schema ids from there."""
    with serving(registry) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCHEMA_REGISTRY_URL", url)
        made = GatewayWorld(tmp_path_factory.mktemp("foreign"), cluster.addresses, NAME)
        yield made
        made.close()


def test_subjects_versions_and_schemas_are_the_registrys(foreign: GatewayWorld, registry: Registry) -> None:
    """All that the pipeline has registered is found, under the registry's ids and versions."""
    subjects = foreign.ask("GET", "/registry/subjects").document
    assert {STREAM, f"{NAME}.vectors-value"} < set(subjects)
    for subject in subjects:
        assert foreign.ask("GET", f"/registry/subjects/{subject}/versions").document == [1]
    latest = foreign.ask("GET", f"/registry/subjects/{STREAM}/versions/latest").document
    number = registry.subjects[STREAM][0]
    assert (latest["subject"], latest["version"], latest["id"]) == (STREAM, 1, number)
    assert latest == foreign.ask("GET", f"/registry/subjects/{STREAM}/versions/1").document
    (stream,) = [each for each in foreign.deployment.wire.codecs.streams if each.name == "asked"]
    assert json.loads(latest["schema"]) == stream.schema
    assert foreign.ask("GET", f"/registry/schemas/ids/{number}").document == {"schema": latest["schema"]}
    uses = foreign.ask("GET", f"/registry/schemas/ids/{number}/versions").document
    assert uses == [{"subject": STREAM, "version": 1}]
    assert foreign.ask("GET", "/registry/config").document == {"compatibilityLevel": "BACKWARD"}
    assert foreign.ask("GET", "/registry/mode").document == {"mode": "READONLY"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("subjects/payroll-value/versions", 40401),
        ("subjects/payroll-value/versions/latest", 40401),
        ("schemas/ids/100", 40403),
        ("schemas/ids/100/versions", 40403),
        ("schemas/ids/99999", 40403),
        (f"subjects/{STREAM}/versions/9", 40402),
    ],
)
def test_what_is_not_the_pipelines_is_not_there(
    foreign: GatewayWorld, registry: Registry, path: str, code: int
) -> None:
    """A key for this pipeline does not read what others keep in the same registry."""
    assert 100 in registry.subjects["payroll-value"]
    assert "payroll-value" not in foreign.ask("GET", "/registry/subjects").document
    reply = foreign.ask("GET", f"/registry/{path}")
    assert (reply.status, reply.document["error_code"]) == (404, code)


def test_a_registry_that_is_away_is_a_problem_document(foreign: GatewayWorld, registry: Registry) -> None:
    """While it fails each question is a 503 that says so, and no more; then all is as before."""
    registry.broken = 500
    paths = ("subjects", f"subjects/{STREAM}/versions", f"subjects/{STREAM}/versions/1", "schemas/ids/101", "config")
    for path in paths:
        reply = foreign.ask("GET", f"/registry/{path}")
        assert (reply.status, reply.headers["content-type"]) == (503, "application/problem+json"), path
        assert reply.document["detail"] == "the schema registry does not answer"
        assert reply.headers["retry-after"] == "1"
    registry.broken = 0
    until(lambda: foreign.ask("GET", "/registry/subjects").status == 200, "it answers again")
