"""The fold of `ingest`: rules, duplicates, counts. Pure.

Records are decoded when they are read, not here, since merging needs their event time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from riverrun.errors import RiverrunError
from riverrun.events.decode import Candidate, EventDecoder, dead_letter
from riverrun.events.reasons import RefusedError
from riverrun.events.settings import IngestSettings
from riverrun.events.stream import IngestStream
from riverrun.records.items import DeadLetter, Event, Item
from riverrun.runtime.ports import Record

__all__ = ["IngestCore", "SeenIds"]

Outputs = tuple[Event | DeadLetter, ...]

_NOTHING: Outputs = ()
_DEAD = "dead:"


class SeenIds(Protocol):
    """Remembers ids for the pipeline's horizon of event time."""

    def take(self, event_id: str, time: int) -> bool:
        """Tell whether the id is new, and if so remember it."""
        ...

    def add(self, event_id: str, time: int) -> None:
        """Remember the id of an accepted event of this time, in milliseconds; forget those whose horizon is over."""
        ...


class IngestCore:
    """Accepts events, drops duplicates, and turns what is wrong into dead letters.

    Parameters
    ----------
    streams
        The pipeline's streams.
    decoders
        A decoder for each stream's topic.
    seen
        Ids of the accepted events. It is a cache of `events`: it may be lost, and is then rebuilt by `replay`.
    settings
        Bounds of what a dead letter keeps.
    """

    def __init__(
        self,
        streams: Sequence[IngestStream],
        decoders: Mapping[str, EventDecoder],
        seen: SeenIds,
        settings: IngestSettings,
    ) -> None:
        self._decoders = dict(decoders)
        self._streams = {stream.schema.name: stream for stream in streams}
        self._prefixes = {name: f"{name}/" for name in self._streams}
        self._seen = seen
        self._settings = settings
        self._watermark = 0
        self._accepted = 0
        self._duplicates = 0
        self._dead_letters = 0
        self._dead: dict[str, int] = {}

    def decode(self, record: Record) -> Candidate | DeadLetter:
        """Decode a producer's record; see `EventDecoder.decode`."""
        return self._decoders[record.topic].decode(record)

    def step(self, item: Candidate | DeadLetter) -> Outputs:
        """Fold one decoded record: its event, its dead letter, or nothing if it is a duplicate."""
        if isinstance(item, DeadLetter):
            return self._bury(item)
        event = item.event
        stream = event.stream
        try:
            self._streams[stream].check_rules(event.fields)
        except RefusedError as refused:
            return self._bury(dead_letter(item.record, refused, self._settings))
        identity = self._prefixes[stream] + event.id
        time = event.time
        if not self._seen.take(identity, time):
            self._duplicates += 1
            return _NOTHING
        self._accepted += 1
        self._watermark = max(self._watermark, time)
        return (event,)

    def replay(self, item: Event) -> None:
        """Remember an event that was accepted before; counters and watermark come with `resume`."""
        self._remember(self._prefixes.get(item.stream, f"{item.stream}/") + item.id, item.time)

    def adopt(self, item: Item) -> None:
        """Count an event or a dead letter that a torn transaction left in the log before it was counted."""
        if isinstance(item, DeadLetter):
            self._bury(item)
        elif isinstance(item, Event):
            self._accepted += 1
            self._watermark = max(self._watermark, item.time)

    def _remember(self, identity: str, time: int) -> None:
        self._seen.add(identity, time)
        self._watermark = max(self._watermark, time)

    def _bury(self, letter: DeadLetter) -> Outputs:
        self._dead_letters += 1
        self._dead[letter.reason] = self._dead.get(letter.reason, 0) + 1
        return (letter,)

    def prefetch(self, items: Sequence[Candidate | DeadLetter]) -> None:
        """Nothing is needed from outside."""

    def counters(self) -> Mapping[str, int]:
        """Return how many records were accepted, duplicates or dead letters; these also by reason."""
        return {
            "accepted": self._accepted,
            "duplicates": self._duplicates,
            "dead_letters": self._dead_letters,
            **{_DEAD + reason: count for reason, count in sorted(self._dead.items())},
        }

    def resume(self, counters: Mapping[str, int], watermark: int) -> None:
        """Take over the committed counters and watermark.

        Raises
        ------
        RiverrunError
            If they contradict each other: they are not `ingest`'s.
        """
        self._accepted = counters.get("accepted", 0)
        self._duplicates = counters.get("duplicates", 0)
        self._dead_letters = counters.get("dead_letters", 0)
        self._dead = {name[len(_DEAD) :]: count for name, count in counters.items() if name.startswith(_DEAD)}
        if sum(self._dead.values()) != self._dead_letters:
            raise RiverrunError(
                f"the committed counters of ingest do not add up: {dict(counters)}",
                hint="is this its progress topic?",
            )
        self._watermark = watermark

    @property
    def watermark(self) -> int:
        """The greatest event time accepted, in milliseconds; 0 before the first."""
        return self._watermark
