"""A stream: a topic of events, how they are written, and which fields say what, who and when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal, NoReturn, TypedDict, Unpack, get_args

from riverrun.pipeline.durations import Duration, parse_duration
from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.expressions import FieldRef
from riverrun.pipeline.locations import Location, caller_location
from riverrun.pipeline.schemas import EventSchema, FieldType, read_schema

__all__ = ["Format", "Stream", "StreamSettings"]

Format = Literal["auto", "avro", "json"]
"""How messages are written: ``auto`` tells Avro in Confluent framing from JSON by the first byte."""

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)


class _NeededSettings(TypedDict):
    """What a stream cannot do without: not written as ``Required``, which is not seen at run time in here."""

    schema: Path | str | Mapping[str, object]
    key: str
    time: str
    id: str


class StreamSettings(_NeededSettings, total=False):
    """What a stream is declared with, besides its topic; see :class:`Stream`."""

    format: Format
    name: str | None
    max_future: Duration | None


class Stream:
    """A topic of events that a pipeline reads.

    ``stream.dep_delay`` and ``stream["dep_delay"]`` refer to a field of its events. The second form is for
    names that a stream's own attributes have: ``topic``, ``name``, ``schema``, ``fields``, ``field``,
    ``suggestions``, ``format``, ``key_field``, ``time_field``, ``id_field``, ``max_future_ms``, ``location``.

    Parameters
    ----------
    topic : str
        The producers' topic.
    schema : Path, str or mapping
        The events' Avro schema: a path (relative ones start at the folder of the file that says it), a JSON
        text or a dict. JSON messages are held to it too.
    key, time, id : str
        The fields with the key that events are partitioned by, the event time (milliseconds since the epoch,
        UTC) and what is unique to an event, by which duplicates are told.
    format : {"auto", "avro", "json"}
        How messages are written.
    name : str, optional
        The short name, by default what follows the last dot of the topic.
    max_future : duration or None
        How far an event's time may lie ahead of the time that Kafka received it; later ones are dead
        letters, since one event of the year 30000 would push the watermark there. None trusts any time.

    Raises
    ------
    DefinitionError
        If a parameter is not of the right type or a duration cannot be read. A bad schema is not raised but
        reported by ``riverrun check``.

    Examples
    --------
    >>> schema = {"type": "record", "name": "Click", "fields": [
    ...     {"name": "id", "type": "string"}, {"name": "user", "type": "string"},
    ...     {"name": "at", "type": "long"}]}
    >>> clicks = Stream("shop.clicks", schema=schema, key="user", time="at", id="id")
    >>> clicks.name, clicks.user.name
    ('clicks', 'user')
    """

    __slots__ = (
        "format",
        "id_field",
        "key_field",
        "location",
        "max_future_ms",
        "name",
        "schema",
        "time_field",
        "topic",
    )

    topic: str
    name: str
    format: Format
    key_field: str
    time_field: str
    id_field: str
    max_future_ms: int | None
    schema: EventSchema
    location: Location | None

    def __init__(self, topic: str, **settings: Unpack[StreamSettings]) -> None:
        location = caller_location()
        _check_settings(topic, settings)
        name, far = settings.get("name"), settings.get("max_future", "1h")
        folder = Path(location.file).parent if location is not None else Path()
        values: dict[str, object] = {
            "topic": topic,
            "name": name if name is not None else _UNFIT.sub("_", topic.rpartition(".")[2]),
            "format": settings.get("format", "auto"),
            "key_field": settings["key"],
            "time_field": settings["time"],
            "id_field": settings["id"],
            "max_future_ms": None if far is None else parse_duration(far),
            "location": location,
            "schema": read_schema(settings["schema"], folder),
        }
        for setting, value in values.items():
            object.__setattr__(self, setting, value)

    def __getattr__(self, name: str) -> FieldRef:
        # Only what is no setting comes here. Underscored names are asked for by Python, copy and notebooks.
        if name.startswith("_"):
            raise AttributeError(f'a field whose name starts with "_" is written stream[{name!r}]')
        return FieldRef(self, name, caller_location())

    def __getitem__(self, name: str) -> FieldRef:
        if not isinstance(name, str):
            raise DefinitionError(f"a field's name is a text, not {name!r}", code="bad-stream")
        return FieldRef(self, name, caller_location())

    def __iter__(self) -> NoReturn:
        raise TypeError("a stream has no items while the pipeline is being defined; its fields are in .fields")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a stream does not change once it is declared, so {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a stream does not change once it is declared, so {name!r} cannot be deleted")

    def __repr__(self) -> str:
        return f"Stream({self.topic!r}, name={self.name!r})"

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The types of the fields by name, in the schema's order."""
        return self.schema.fields

    def field(self, name: str) -> FieldType | None:
        """Return a field's type, or None if the schema has no such (usable) field."""
        return self.schema.fields.get(name)

    def suggestions(self, name: str) -> list[str]:
        """Return the fields whose names resemble ``name``, the most similar first."""
        return get_close_matches(name, self.schema.fields, n=3, cutoff=0.6)


def _check_settings(topic: object, settings: StreamSettings) -> None:
    """Check at run time what a type checker would have said."""
    unknown = sorted(settings.keys() - StreamSettings.__annotations__.keys())
    missing = sorted(StreamSettings.__required_keys__ - settings.keys())
    if unknown or missing:
        wrong = f"has no setting {unknown[0]!r}" if unknown else f"needs {missing[0]}="
        known = ", ".join(StreamSettings.__annotations__)
        raise DefinitionError(f"a stream {wrong}", hint=f"its settings are {known}", code="bad-stream")
    names = {"topic": topic, "key": settings["key"], "time": settings["time"], "id": settings["id"]}
    for what, given in {**names, "name": settings.get("name") or "-"}.items():
        if not isinstance(given, str) or not given:
            raise DefinitionError(f"{what}= of a stream is a name, not {given!r}", code="bad-stream")
    written = settings.get("format", "auto")
    if written not in get_args(Format):
        raise DefinitionError(
            f"{written!r} is no format of messages", hint='use "auto", "avro" or "json"', code="bad-stream"
        )
    if not isinstance(settings["schema"], Path | str | Mapping):
        raise DefinitionError(
            f"schema= of a stream is a path, a JSON text or a dict, not {settings['schema']!r}",
            code="bad-stream",
        )
