"""The AsyncAPI document: sound by the official schema, and true of the topics that a run has written."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import fastavro
import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from riverrun import __version__
from riverrun.cli.app import APP
from riverrun.launch.letters import REPLAYED
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import load
from riverrun.records.asyncapi import asyncapi_document
from riverrun.records.items import AlertCommand
from riverrun.records.topics import KIND_OF_CLASS, Kind, topic_name
from riverrun.runtime.topology import Topology
from services.alerts.signals import ORIGIN, Fact, Mark
from services.gateway.answering import ANSWER
from tests.gateway.world import GatewayWorld
from tests.records.made import EVENT, ITEMS, SCHEMAS, codecs_of

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


def test_every_channel_says_what_it_holds(flights: dict[str, Any]) -> None:
    """Each has a description and messages, and each message what its headers are, even if there are none."""
    for name, channel in flights["channels"].items():
        assert channel["description"], name
        assert channel["messages"], name
    for name, message in flights["components"]["messages"].items():
        assert message["title"], name
        assert message["payload"], name
        assert message["headers"]["type"] == "object", name
        assert all(each["description"] for each in message["headers"]["properties"].values()), name


WRITTEN = {"avro": ["avro/binary"], "json": ["application/json"], "auto": ["avro/binary", "application/json"]}


@pytest.mark.parametrize("written", WRITTEN)
def test_events_are_written_as_the_stream_says(written: Literal["avro", "json", "auto"]) -> None:
    """A stream of JSON is not said to be of framed Avro, nor the other way round; one that takes both has both."""
    streams = tuple(replace(stream, format=written) for stream in SCHEMAS.streams)
    document = asyncapi_document(replace(SCHEMAS, streams=streams), "1.0.0")
    assert _faults(document) == []
    messages = _messages(document, "stream-parcels")
    assert [each["contentType"] for each in messages] == WRITTEN[written]
    for message in messages:
        kafka = message["bindings"]["kafka"]
        assert ("schemaIdLocation" in kafka) is (message["contentType"] == "avro/binary")
        assert kafka["key"]
    # Whatever was sent, an accepted event is Avro.
    assert [each["contentType"] for each in _messages(document, "events")] == ["avro/binary"]


def test_the_formats_are_those_of_the_pipeline_file(flights: dict[str, Any]) -> None:
    """The demo declares three streams of Avro and one of JSON."""
    pipeline = load(FLIGHTS)
    for stream in pipeline.streams:
        found = [each["contentType"] for each in _messages(flights, f"stream-{stream.name}")]
        assert found == WRITTEN[stream.format]
    assert {each.format for each in pipeline.streams} == {"avro", "json"}


def _messages(document: dict[str, Any], channel: str) -> list[dict[str, Any]]:
    return [document["components"]["messages"][name] for name in document["channels"][channel]["messages"]]


def test_headers_are_those_that_are_written(flights: dict[str, Any]) -> None:
    """Of each kind of record the headers that must be there are those that the codecs give it."""
    codecs = codecs_of()
    document = asyncapi_document(SCHEMAS, "1.0.0")
    seen = set()
    for item in (*ITEMS.values(), EVENT):
        kind = KIND_OF_CLASS[type(item)]
        written = {name for name, _ in codecs.to_wire(item, 0)[2]}
        if isinstance(item, AlertCommand):
            # Whoever writes one need not know of headers.
            written = set()
        for message in _messages(document, kind.value):
            assert set(message["headers"].get("required", ())) == written, kind
        seen.add(kind)
    assert seen == set(Kind) - {Kind.SCHEMAS, Kind.ALERT_SIGNALS}
    for kind in seen - {Kind.ALERTS, Kind.ALERT_COMMANDS, Kind.PROGRESS}:
        for message in _messages(flights, kind.value):
            assert "traceparent" in message["headers"]["properties"], kind


def test_what_others_add_to_events_is_described(flights: dict[str, Any]) -> None:
    """The gateway's answer is on the stream that is predicted on, the mark of what was sent again on all of them."""
    pipeline = load(FLIGHTS)
    for stream in pipeline.streams:
        for message in _messages(flights, f"stream-{stream.name}"):
            properties = message["headers"]["properties"]
            assert "required" not in message["headers"]
            assert {REPLAYED, "traceparent"} <= properties.keys()
            assert (ANSWER in properties) is (stream.name == pipeline.predict_on.name)


def test_signals_are_copies_and_marks(flights: dict[str, Any]) -> None:
    """A copy has the header that says of what, and all that the rules look at may be copied; a mark is as it says."""
    messages = _messages(flights, Kind.ALERT_SIGNALS.value)
    copies = [each for each in messages if each["contentType"] == "avro/binary"]
    assert all(list(each["headers"]["properties"]) == each["headers"]["required"] == [ORIGIN] for each in copies)
    copied = {each["payload"]["$ref"] for each in copies}
    looked_at = {KIND_OF_CLASS[each] for each in get_args(Fact)}
    names = {name for kind in looked_at for name in flights["channels"][kind.value]["messages"]}
    assert copied == {f"#/components/messages/{name}/payload" for name in names}
    (mark,) = [each for each in messages if each not in copies]
    written = json.loads(Mark({"a/0": 7}, {"b/1": 9}).to_bytes())
    Draft7Validator(mark["payload"]).validate(written)
    assert set(mark["payload"]["required"]) == set(mark["payload"]["properties"]) == set(written)


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
    name, _ = document["channels"]["stream-asked"]["messages"]
    schema = document["components"]["messages"][name]["payload"]["schema"]
    assert value is not None
    read = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None)
    assert isinstance(read, dict)
    assert (read["id"], read["size"]) == ("asyncapi", 2.0)
    assert document["channels"]["predictions"]["address"] == topic_name(
        world.deployment.pipeline.name, Kind.PREDICTIONS
    )
