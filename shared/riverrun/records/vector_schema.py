"""The record generated for a pipeline's feature vectors: one named, nullable field a feature.

Its fingerprint is the feature-set version: two pipelines whose vectors mean different things must not share one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from riverrun.errors import RiverrunError
from riverrun.records.avro import AvroRecord, fingerprint

__all__ = ["ENVELOPE_FIELDS", "FeatureType", "VectorSchema", "VectorSchemaError"]

FeatureType = Literal["boolean", "long", "double", "string", "bytes"]
"""The Avro type of a feature."""

ENVELOPE_FIELDS: Final = ("id", "key", "time", "event_seq", "reads")
"""Fields that every vector has; no feature may be called like one of them."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class VectorSchemaError(RiverrunError):
    """A feature cannot be a field of the vector's schema."""


@dataclass(frozen=True, slots=True)
class VectorSchema:
    """The features of a pipeline, in order, and the record made of them.

    Parameters
    ----------
    names
        The features' names, as declared.
    types
        Their Avro types.
    schema
        The generated record schema.
    version
        The feature-set version: the schema's fingerprint, 16 hexadecimal digits.
    """

    names: tuple[str, ...]
    types: tuple[FeatureType, ...]
    schema: AvroRecord
    version: str

    @classmethod
    def generate(cls, pipeline: str, features: Mapping[str, FeatureType]) -> VectorSchema:
        """Generate the record for a pipeline's features.

        Parameters
        ----------
        pipeline
            The pipeline's name.
        features
            Type of each feature, in the order of the vector.

        Raises
        ------
        VectorSchemaError
            If a name is not an Avro name or is taken by the envelope.

        Examples
        --------
        >>> vector = VectorSchema.generate("flight-delay", {"hour": "long", "origin_delay_1h": "double"})
        >>> vector.schema["name"], vector.version
        ('FlightDelayVector', 'f068a5f2dd0c5a2a')
        """
        for name in features:
            if not _NAME.fullmatch(name):
                raise VectorSchemaError(
                    f"feature {name!r} is not an Avro name",
                    hint="use letters, digits and _, not a digit first",
                )
            if name in ENVELOPE_FIELDS:
                raise VectorSchemaError(
                    f"feature {name!r} is called like a field that every vector has",
                    hint="rename it",
                )
        schema = _schema(pipeline, features)
        return cls(tuple(features), tuple(features.values()), schema, fingerprint(schema))


def _schema(pipeline: str, features: Mapping[str, FeatureType]) -> AvroRecord:
    read_fields = [
        {"name": "partition", "type": "int", "doc": "The other partition."},
        {
            "name": "group",
            "type": "string",
            "doc": "The group of features that share an entity.",
        },
        {"name": "entity", "type": "string", "doc": "The entity."},
        {
            "name": "position",
            "type": "long",
            "doc": "How far the partial had folded that partition's events.",
        },
    ]
    read = {
        "type": "record",
        "name": "ForeignRead",
        "namespace": "riverrun",
        "doc": "A partial of another partition that was merged into the vector: the log alone would not tell.",
        "fields": read_fields,
    }
    time = {"type": "long", "logicalType": "timestamp-millis"}
    fields: list[AvroRecord] = [
        {
            "name": "id",
            "type": "string",
            "doc": "The event's id, unique in its stream.",
        },
        {"name": "key", "type": "string", "doc": "The event's key."},
        {"name": "time", "type": time, "doc": "The event's time."},
        {
            "name": "event_seq",
            "type": "long",
            "doc": "The event's position in its partition of the events topic.",
        },
        {
            "name": "reads",
            "type": {"type": "array", "items": read},
            "default": [],
            "doc": "What else was read.",
        },
    ]
    fields += [{"name": name, "type": ["null", kind], "default": None} for name, kind in features.items()]
    return {
        "type": "record",
        "name": _record_name(pipeline),
        "namespace": "riverrun.vectors",
        "doc": f"The point-in-time feature vector of pipeline {pipeline}; null where nothing was known.",
        "fields": fields,
    }


def _record_name(pipeline: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", pipeline)
    name = "".join(word[:1].upper() + word[1:] for word in words) + "Vector"
    return name if _NAME.fullmatch(name) else f"_{name}"
