"""A pipeline to be attacked: what ``riverrun init`` writes, with everything watched that can be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import fastavro

from riverrun.adapters.kafka_log import KafkaLog
from riverrun.embedded import Addresses
from riverrun.launch.connect import connect
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.pipeline import Pipeline, load
from riverrun.pipeline.template import write_new
from riverrun.records.framing import frame_header
from riverrun.records.ids import derived_id
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings

__all__ = ["PARTITIONS", "Prey", "events_of", "make_prey", "samples_of"]

PARTITIONS: Final = 2
_SAMPLES: Final = 40

_WATCHED: Final = """

from dataclasses import replace

from riverrun import Drift
from riverrun.pipeline.alerts import (
    ChampionRule,
    CounterRule,
    DeadLetterRule,
    DriftRule,
    LagRule,
    QualityRule,
    SilenceRule,
)

pipeline = replace(
    pipeline,
    drift=Drift(segments=["carrier"], reference=200, window=100, warm_up=0),
    alerts=[
        # Each time that there is something to tell it is told: so it is plain that the alerts still work.
        CounterRule(
            name="duplicates",
            stage="ingest",
            counter="duplicates",
            cooldown="0s",
            burst=1_000_000,
            escalate_after="30d",  # and until then it can be acknowledged
        ),
        DeadLetterRule(name="dead-letters", share=0.1, cooldown="0s", escalate_after="1h"),
        DriftRule(name="drift", burst=3),
        QualityRule(name="quality", metric="LogLoss", above=0.1),
        LagRule(name="lag", stage="learn", records=10),
        SilenceRule(name="silence", stream="delivered", over="1h"),
        ChampionRule(name="champion"),
    ],
)
"""


@dataclass(frozen=True, slots=True)
class Prey:
    """A pipeline of its own, to be attacked."""

    file: Path
    pipeline: Pipeline
    addresses: Addresses
    environment: Mapping[str, str]

    def connect(self) -> Deployment:
        """Return it, connected."""
        return connect(self.pipeline, self.addresses, Settings.from_environment(self.environment))


def make_prey(name: str, folder: Path, addresses: Addresses) -> Prey:
    """Write a pipeline of this name and make its topics.

    Parameters
    ----------
    name
        Its name, which no other pipeline on these servers has.
    folder
        Where it and its data go.
    addresses
        The servers.
    """
    file, *_ = write_new(name, folder)
    text = file.read_text(encoding="utf-8").replace('"parcels.', f'"{name}-in.')
    file.write_text(text + _WATCHED, encoding="utf-8")
    pipeline = load(file)
    log = KafkaLog(dict(addresses.kafka))
    log.ensure_topics([TopicSpec(stream.topic, PARTITIONS) for stream in pipeline.streams])
    log.close()
    # Of those who never saw the schema registry, nor will.
    environment = {**addresses.as_environment(), "RIVERRUN_DATA": str(folder / "data"), "SCHEMA_REGISTRY_URL": ""}
    prey = Prey(file, pipeline, addresses, environment)
    # Its own topics: whatever is started first finds them.
    prey.connect().log.close()
    return prey


def samples_of(prey: Prey) -> dict[str, list[bytes]]:
    """Return good messages of each producers' topic, as JSON and in Confluent framing."""
    schemas = {stream.topic: stream.schema for stream in schemas_of(prey.pipeline).streams}
    found: dict[str, list[bytes]] = {topic: [] for topic in schemas}
    for topic, event in events_of(prey):
        if len(found[topic]) < _SAMPLES:
            found[topic] += [json.dumps(event).encode(), _framed(schemas[topic], event)]
    return found


def events_of(prey: Prey) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return good events, with their topics, in the order in which they happened."""
    for line in prey.file.with_name("events.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield row["topic"].replace("parcels.", f"{prey.pipeline.name}-in."), row["event"]


def _framed(schema: Any, event: Mapping[str, Any]) -> bytes:
    out = BytesIO()
    out.write(frame_header(derived_id(schema)))
    # Without logical types, whose values fastavro would want as dates.
    plain = json.loads(json.dumps(schema).replace('"logicalType"', '"ignored"'))
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain), dict(event))
    return out.getvalue()
