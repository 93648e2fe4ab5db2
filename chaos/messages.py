"""What producers' messages say: JSON from most, Avro behind a frame from the gateway; read by `fastavro` alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, cast

import fastavro

from riverrun.records.ids import SchemaIds

__all__ = ["Messages", "without_logical_types"]

_FRAME: Final = 5
_MAGIC: Final = b"\0"

Fields = dict[str, Any]


class Messages:
    """Reads messages.

    Parameters
    ----------
    ids
        Know the schemas.
    """

    def __init__(self, ids: SchemaIds) -> None:
        self._ids = ids
        self._schemas: dict[bytes, Any] = {}

    def fields(self, value: bytes | None) -> Fields:
        """Return the fields of a valid message, by name."""
        content = value or b""
        if not content.startswith(_MAGIC):
            return cast("Fields", json.loads(content))
        frame = content[1:_FRAME]
        if frame not in self._schemas:
            schema = without_logical_types(self._ids.schema_of(int.from_bytes(frame, "big")))
            self._schemas[frame] = fastavro.parse_schema(cast("dict[str, Any]", schema))
        return cast("Fields", fastavro.schemaless_reader(BytesIO(content[_FRAME:]), self._schemas[frame], None))


def without_logical_types(schema: object) -> object:
    """Return a schema by which times are numbers, as they are in JSON.

    Examples
    --------
    >>> without_logical_types({"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}})
    {'name': 'at', 'type': {'type': 'long'}}
    """
    if isinstance(schema, Mapping):
        return {name: without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    if isinstance(schema, list | tuple):
        return [without_logical_types(part) for part in schema]
    return schema
