"""An event says which stream it is of, and goes on saying so after a hop through the log."""

from __future__ import annotations

import schemas
from riverrun.records.codecs import Codecs
from riverrun.records.definition import PipelineSchemas, StreamSchema
from riverrun.records.ids import Entry, ManifestIds
from riverrun.records.items import Event, Source
from riverrun.records.vector_schema import VectorSchema

_CLICK: dict[str, object] = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "user", "type": "string"},
        {"name": "at", "type": "long"},
    ],
}


def test_event_read_from_the_log_names_its_stream_as_the_pipeline_does() -> None:
    """Stages told apart by a hop see what chained stages see: the stream's name, not its topic's."""
    clicks = StreamSchema(name="clicks", topic="shop.raw-clicks", schema=_CLICK, id="id", key="user", time="at")
    vector = VectorSchema.generate("shop", {"visits": "long"})
    fixed = [Entry(line.subject, line.id, line.schema) for line in schemas.manifest()]
    codecs = Codecs(PipelineSchemas("shop", (clicks,), vector), ManifestIds(fixed, [], lambda _: None))
    frame = b"\0" + codecs.stream_id("clicks").to_bytes(4, "big")
    payload = frame + b"\x02e\x02u\x0e"
    sent = Event(
        "clicks", "e", "u", 7, {"id": "e", "user": "u", "at": 7}, payload, Source("shop.raw-clicks", 0, 3), seq=5
    )

    _, value, headers = codecs.to_wire(sent, 0)
    received, _ = codecs.from_wire(value, headers)

    assert received == sent
