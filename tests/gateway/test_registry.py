"""The registry's routes, asked by the client that others use; and health and metrics."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

import schemas
from riverrun.records.topics import Kind
from tests.gateway.world import NAME, GatewayWorld


@pytest.fixture(scope="module")
def client(world: GatewayWorld) -> Iterator[SchemaRegistryClient]:
    """A client with the key as its password."""
    url = f"{world.gateway.url}/registry"
    credentials = {"basic.auth.user.info": f"anyone:{world.key}"}
    with SchemaRegistryClient({"url": url, "max.retries": 0, **credentials}) as made:
        yield made


def test_schemas_are_found_by_id(world: GatewayWorld, client: SchemaRegistryClient) -> None:
    """The id in the frame of any record leads to the schema that wrote it."""
    place = world.ask("POST", "/v1/streams/asked", {"who": "w", "place": "x", "size": 1.0}).document["records"][0]
    (record,) = [
        each
        for each in world.deployment.log.tail(place["topic"], place["partition"], 1 << 40)
        if each.offset == place["offset"]
    ]
    assert record.value is not None
    found = client.get_schema(int.from_bytes(record.value[1:5], "big"))
    (stream,) = [each for each in world.deployment.wire.codecs.streams if each.name == "asked"]
    assert json.loads(found.schema_str or "") == stream.schema
    for line in schemas.manifest():
        assert json.loads(client.get_schema(line.id).schema_str or "") == line.schema


def test_subjects_and_versions(world: GatewayWorld, client: SchemaRegistryClient) -> None:
    """Every stream and every record has its subject, and the latest version is the one in use."""
    subjects = client.get_subjects()
    assert {f"{NAME}-raw.asked-value", f"{NAME}.vectors-value", "riverrun.Prediction"} <= set(subjects)
    for subject in subjects:
        versions = client.get_versions(subject)
        assert versions == list(range(1, len(versions) + 1))
    latest = client.get_latest_version("riverrun.Prediction")
    assert json.loads(latest.schema.schema_str or "") == schemas.current("prediction")
    uses = world.ask("GET", f"/registry/schemas/ids/{latest.schema_id}/versions").document
    assert uses == [{"subject": "riverrun.Prediction", "version": latest.version}]
    assert world.ask("GET", "/registry/mode").document == {"mode": "READONLY"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("schemas/ids/2147483647", 40403),
        ("schemas/ids/2147483647/versions", 40403),
        ("subjects/nobody/versions", 40401),
        ("subjects/riverrun.Prediction/versions/999", 40402),
    ],
)
def test_what_is_not_there_has_the_registrys_codes(world: GatewayWorld, path: str, code: int) -> None:
    """A problem document carries the code and message that registry clients look for."""
    reply = world.ask("GET", f"/registry/{path}")
    assert (reply.status, reply.document["error_code"], bool(reply.document["message"])) == (404, code, True)


def test_a_client_understands_the_error(client: SchemaRegistryClient) -> None:
    """The client that others use reads the code from it."""
    with pytest.raises(SchemaRegistryError) as caught:
        client.get_schema(2_147_483_647)
    assert caught.value.error_code == 40403


def test_metrics_count_what_was_answered(world: GatewayWorld) -> None:
    """Each response is counted once by its status."""

    def count(status: int) -> int:
        lines = world.ask("GET", "/metrics").document.splitlines()
        name = f'riverrun_gateway_responses_total{{pipeline="{NAME}",status="{status}"}}'
        (line,) = [each for each in lines if each.startswith(name)]
        return int(line.split()[-1])

    world.ask("GET", "/nothing")
    before = count(404)
    for _ in range(3):
        world.ask("GET", "/nothing")
    assert count(404) == before + 3


def test_dead_letters_are_listed_and_sent_again(world: GatewayWorld) -> None:
    """What ingest refused is listed with its reason and bytes, and can be sent again by its name."""
    world.start_stages()
    producer_topic = f"{NAME}-raw.asked"
    before = len(world.records(producer_topic))
    world.publish_raw(producer_topic, b"k", b"{broken")
    base = f"/v1/pipelines/{NAME}/dead-letters"
    found = world.wait_for(lambda: world.ask("GET", f"{base}?reason=not_json").document, "the dead letter")
    assert (found[-1]["reason"], found[-1]["value"], found[-1]["topic"]) == ("not_json", "e2Jyb2tlbg==", producer_topic)
    assert world.ask("GET", f"{base}?reason=rule").document == []
    reply = world.ask("POST", f"{base}/replay", {"names": [found[-1]["name"]]})
    assert (reply.status, reply.document) == (202, {"replayed": [found[-1]["name"]]})
    assert len(world.records(producer_topic)) == before + 2
    assert world.records(world.deployment.topology.names[Kind.DEAD_LETTERS])


def test_a_large_dead_letter_is_listed_in_short_and_shown_whole(world: GatewayWorld) -> None:
    """A list holds no more than the beginning of each, so that no stranger decides how much memory it takes."""
    world.start_stages()
    value = b"{" + b"x" * 500_000
    world.publish_raw(f"{NAME}-raw.asked", b"large", value)
    base = f"/v1/pipelines/{NAME}/dead-letters"

    def listed() -> list[dict[str, object]]:
        return [each for each in world.ask("GET", f"{base}?limit=1000").document if each["key"] == "bGFyZ2U="]

    (found,) = world.wait_for(listed, "the dead letter")
    assert found["cut"]
    assert base64.b64decode(str(found["value"])) == value[:1_024]
    whole = world.ask("GET", f"{base}/{found['name']}").document
    assert not whole["cut"]
    assert base64.b64decode(whole["value"]) == value
    assert world.ask("GET", f"{base}/0:999999999").status == 404
    assert world.ask("GET", f"{base}/first").status == 422


def test_replay_is_no_name_of_a_dead_letter(world: GatewayWorld) -> None:
    """What is only to be posted to is not looked up: it is a method that is not allowed, and which one is said."""
    base = f"/v1/pipelines/{NAME}/dead-letters"
    for method in ("GET", "DELETE"):
        reply = world.ask(method, f"{base}/replay")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
    for name in ("replays", "replay%20", "a:1"):
        assert world.ask("GET", f"{base}/{name}").status == 422
