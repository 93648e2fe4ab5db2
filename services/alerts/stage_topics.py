"""Which topics each stage reads: what is written to them and not folded is how far the stage lies behind."""

from __future__ import annotations

from typing import Final

from riverrun.pipeline import Pipeline
from riverrun.records.topics import Kind, topic_name

__all__ = ["topics_read"]

_READ: Final = {
    "features": (Kind.EVENTS,),
    "score": (Kind.VECTORS,),
    "labels": (Kind.PREDICTIONS, Kind.EVENTS),
    "learn": (Kind.EXAMPLES,),
    "drift-inputs": (Kind.PREDICTIONS,),
    "drift-errors": (Kind.EXAMPLES,),
}
"""No service knows another's wiring; a test holds this against it."""


def topics_read(pipeline: Pipeline, stage: str) -> frozenset[str]:
    """Return the names of the topics that a stage reads; for ``ingest`` they are the producers'."""
    if stage in _READ:
        return frozenset(topic_name(pipeline.name, kind) for kind in _READ[stage])
    return frozenset(stream.topic for stream in pipeline.streams)
