"""The AsyncAPI document: sound by the official schema, and true of the topics that a run has written."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from riverrun import __version__
from riverrun.cli.app import APP
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import load
from riverrun.records.asyncapi import asyncapi_document
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.topology import Topology
from tests.gateway.world import GatewayWorld

HERE = Path(__file__).parent
FLIGHTS = HERE.parents[1] / "examples" / "flights" / "pipeline.py"
SCHEMA = json.loads((HERE / "data" / "asyncapi-3.0.0.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def flights() -> dict[str, Any]:
    """The document of the flights pipeline."""
    return asyncapi_document(schemas_of(load(FLIGHTS)), "1.0.0")


def _faults(document: dict[str, Any]) -> list[str]:
    return [fault.message for fault in Draft7Validator(SCHEMA).iter_errors(document)]


def test_it_is_valid(flights: dict[str, Any]) -> None:
    """The official schema finds nothing wrong, and would: without its version the document is refused."""
    assert _faults(flights) == []
    broken = copy.deepcopy(flights)
    del broken["asyncapi"]
    assert _faults(broken)
    broken = copy.deepcopy(flights)
    broken["channels"]["vectors"]["messages"] = ["vector"]
    assert _faults(broken)


def test_the_command_prints_the_same(flights: dict[str, Any]) -> None:
    """But for the version of riverrun, which the gateway and the command both give."""
    printed = CliRunner().invoke(APP, ["asyncapi", str(FLIGHTS), "--json"])
    assert printed.exit_code == 0
    document = json.loads(printed.stdout)
    assert document.pop("info") == {**flights["info"], "version": __version__}
    assert document == {name: value for name, value in flights.items() if name != "info"}


def test_every_topic_is_a_channel(flights: dict[str, Any]) -> None:
    """Each producers' topic and each topic of riverrun's own is there under its address, with what it holds."""
    pipeline = load(FLIGHTS)
    addresses = {channel["address"] for channel in flights["channels"].values()}
    own = {spec.name for spec in Topology(pipeline.name, 1).specs()}
    assert own | {stream.topic for stream in pipeline.streams} <= addresses
    for name, channel in flights["channels"].items():
        for message in channel["messages"].values():
            assert message["$ref"].removeprefix("#/components/messages/") in flights["components"]["messages"], name
    assert set(flights["channels"]["models"]["messages"]) == {"model-version", "model-alias"}


def test_the_gateway_serves_it(world: GatewayWorld) -> None:
    """Its route gives the pipeline's document, valid too."""
    reply = world.ask("GET", "/asyncapi.json")
    assert reply.status == 200
    assert _faults(reply.document) == []
    assert reply.document == asyncapi_document(schemas_of(world.deployment.pipeline), reply.document["info"]["version"])


def test_records_are_what_it_says(world: GatewayWorld) -> None:
    """A message that was published reads back with the very schema that the document gives for its topic."""
    document = world.ask("GET", "/asyncapi.json").document
    event = {"id": "asyncapi", "who": "w", "place": "x", "at": 1_700_000_000_000, "size": 2.0}
    place = world.ask("POST", "/v1/streams/asked", event).document["records"][0]
    records = world.deployment.log.tail(place["topic"], place["partition"], 1 << 40)
    value = next(record.value for record in records if record.offset == place["offset"])
    (name,) = document["channels"]["stream-asked"]["messages"]
    schema = document["components"]["messages"][name]["payload"]["schema"]
    assert value is not None
    read = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None)
    assert isinstance(read, dict)
    assert (read["id"], read["size"]) == ("asyncapi", 2.0)
    assert document["channels"]["predictions"]["address"] == topic_name(
        world.deployment.pipeline.name, Kind.PREDICTIONS
    )
