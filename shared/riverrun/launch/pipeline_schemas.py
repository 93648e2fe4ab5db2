"""From a pipeline's definition to the schemas of its wire format."""

from __future__ import annotations

from typing import Final

from riverrun.pipeline import Pipeline
from riverrun.pipeline.schemas import Kind
from riverrun.records.definition import PipelineSchemas, StreamSchema
from riverrun.records.vector_schema import FeatureType, VectorSchema

_TYPES: Final[dict[Kind, FeatureType]] = {
    Kind.BOOL: "boolean",
    Kind.INT: "long",
    Kind.FLOAT: "double",
    Kind.TEXT: "string",
    Kind.BYTES: "bytes",
}


def schemas_of(pipeline: Pipeline) -> PipelineSchemas:
    """Return the schemas of a pipeline's streams and of its vectors.

    Raises
    ------
    RiverrunError
        If the pipeline does not pass `riverrun check`.
    """
    streams = tuple(
        StreamSchema(
            name=stream.name,
            topic=stream.topic,
            schema=dict(stream.schema.avro),
            id=stream.id_field,
            key=stream.key_field,
            time=stream.time_field,
            format=stream.format,
        )
        for stream in pipeline.streams
    )
    kinds = {name: _TYPES[value.kind] for name, value in pipeline.feature_kinds.items()}
    vector = VectorSchema.generate(pipeline.name, kinds)
    return PipelineSchemas(pipeline.name, streams, vector, pipeline.predict_on.name)
