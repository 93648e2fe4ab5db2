"""The load: parcels' lives, with all that real streams do wrong, from a seed, for as long as it is asked for."""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Final, NamedTuple

__all__ = ["DISORDER", "DUPLICATE", "MALFORMED", "VALID", "Disorder", "Message", "ParcelLoad"]

VALID: Final = "valid"
DUPLICATE: Final = "duplicate"
MALFORMED: Final = "malformed"

_START_MS: Final = 1_735_689_600_000
_HOUR_MS: Final = 3_600_000
_EVERY_MS: Final = 600_000
_SCANNED_BEFORE_MS: Final = 5 * _HOUR_MS
_CARRIERS: Final = {"swift": 40.0, "steady": 25.0, "slow": 15.0}
_SEASON: Final = 250
"""So many parcels long, by turns, they go as they always did, and much farther: there is drift to be found."""

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """A message for a producers' topic, and what ought to become of it.

    ``stream`` is the last part of the topic's name; ``id`` that of the event, also of one that is malformed.
    ``oddities`` are what the load did wrong with it.
    """

    stream: str
    id: str
    key: bytes
    value: bytes
    kind: str = VALID
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disorder:
    """How much is wrong with a load, as shares of all messages.

    Parameters
    ----------
    duplicates
        Sent again, within some hours of event time.
    late
        Sent up to an hour and a half after others that are newer.
    malformed
        Refused, beside the poison.
    clocks
        Of parcels whose producer's clock is an hour fast, or slow.
    poison_every
        So many messages apart are those made to break a decoder; 0 for none.
    """

    duplicates: float = 0.11
    late: float = 0.23
    malformed: float = 0.01
    clocks: float = 0.1
    poison_every: int = 1_000


DISORDER: Final = Disorder()
"""Of what comes out, since nothing is repeated that is malformed, 10 % are duplicates and 20 % out of order."""


class _Due(NamedTuple):
    """A message and when it is published, in event time; ``number`` keeps equal times in the order of making."""

    at: float
    number: int
    message: Message


class ParcelLoad:
    """An iterator over messages, about 3.7 a parcel, in the order in which they are to be published.

    Parameters
    ----------
    seed
        Decides everything.
    disorder
        How much is wrong.

    Attributes
    ----------
    made : Counter
        How many messages have each oddity, of those that were taken.
    oddities : dict
        Of events that have any: what is odd, by id.
    clock_ms : int
        Event time of what was last taken, in milliseconds since the epoch.
    """

    def __init__(self, seed: int, disorder: Disorder = DISORDER) -> None:
        self.made: Counter[str] = Counter()
        self.oddities: dict[str, tuple[str, ...]] = {}
        self._rng = random.Random(seed)
        self._disorder = disorder
        self._waiting: list[_Due] = []
        self._number = 0
        self.clock_ms = _START_MS
        self._poison_at = disorder.poison_every // 2
        self._messages = self._make()

    def take(self, number: int) -> list[Message]:
        """Return the next messages."""
        taken = list(islice(self._messages, number))
        for message in taken:
            self.made.update(message.oddities)
            if message.oddities and message.kind == VALID:
                self.oddities[message.id] = message.oddities
        return taken

    def _make(self) -> Iterator[Message]:
        for parcel in count():
            # Nothing of a later parcel can be due before this.
            horizon = _START_MS + parcel * _EVERY_MS - _SCANNED_BEFORE_MS - _HOUR_MS
            while self._waiting and self._waiting[0].at <= horizon:
                self.clock_ms = horizon
                yield heapq.heappop(self._waiting).message
            self._add_parcel(parcel)

    def _add_parcel(self, number: int) -> None:
        rng, disorder = self._rng, self._disorder
        wrong_clock = rng.choice((-_HOUR_MS, _HOUR_MS)) if rng.random() < disorder.clocks else 0
        for at, stream, fields, label in _life(number, rng):
            claimed = at + wrong_clock
            oddities = [label] if label else []
            due = float(at)
            if wrong_clock:
                oddities.append("load.clock-off")
            if rng.random() < disorder.late:
                due += rng.randrange(90) * 60_000
                oddities.append("load.out-of-order")
            message = _message(stream, {**fields, "at": claimed}, tuple(oddities))
            self._push(due, message)
            self._add_faulty(due, message)

    def _add_faulty(self, due: float, message: Message) -> None:
        """Repeat some messages somewhat later, and put in some that are malformed."""
        rng, disorder = self._rng, self._disorder
        if rng.random() < disorder.duplicates:
            repeated = replace(message, kind=DUPLICATE, oddities=("load.duplicate",))
            self._push(due + rng.uniform(1_000, 3 * _HOUR_MS), repeated)
        if rng.random() < disorder.malformed:
            self._push(due + 1, _FAULTS[rng.randrange(len(_FAULTS))](message))
        if disorder.poison_every and self._number >= self._poison_at:
            self._poison_at += disorder.poison_every
            self._push(due + 1, _POISONS[rng.randrange(len(_POISONS))](message))

    def _push(self, due: float, message: Message) -> None:
        self._number += 1
        heapq.heappush(self._waiting, _Due(due, self._number, message))


def _life(number: int, rng: random.Random) -> list[tuple[int, str, Fields, str]]:
    """Make one parcel's events: (time, stream, fields, what is odd about it)."""
    carrier = rng.choice(sorted(_CARRIERS))
    shipped_at = _START_MS + number * _EVERY_MS
    delay = rng.expovariate(0.5)
    distance = rng.uniform(20, 900) + 500 * (number // _SEASON % 2)
    hours = 2 + distance / _CARRIERS[carrier] + delay * rng.uniform(0, 6)
    parcel: Fields = {"parcel_id": f"p{number:05d}", "carrier": carrier}
    events: list[tuple[int, str, Fields, str]] = []
    for scan in range(rng.choice((0, 1, 1, 2, 3))):
        at = shipped_at - rng.randrange(1, _SCANNED_BEFORE_MS)
        events.append((at, "scanned", {"event_id": f"c{number:05d}-{scan}", "delay": delay}, ""))
    weight = None if rng.random() < 0.2 else round(rng.uniform(0.1, 20), 2)
    shipping: Fields = {"event_id": f"s{number:05d}", "distance": round(distance, 1), "weight": weight}
    deliveries = _deliveries(number, shipped_at, hours, rng)
    events += [(shipped_at, "shipped", shipping, "" if deliveries else "load.label-never"), *deliveries]
    return [(at, stream, {**parcel, **fields}, odd) for at, stream, fields, odd in events]


def _deliveries(number: int, shipped_at: int, hours: float, rng: random.Random) -> list[tuple[int, str, Fields, str]]:
    """Make a parcel's labels: mostly one; some early, late, never, twice, or two that contradict each other."""
    fate = rng.random()
    if fate < 0.05:
        return []
    odd = ""
    if fate < 0.08:
        hours, odd = 80.0, "load.label-late"
    at = shipped_at + round(hours * _HOUR_MS)
    if 0.08 <= fate < 0.11:
        at, odd = shipped_at - 300_000, "load.label-before-its-prediction"
    first: Fields = {"event_id": f"d{number:05d}-0", "hours": round(hours, 2)}
    again: Fields = {"event_id": f"d{number:05d}-1", "hours": round(hours, 2)}
    if 0.11 <= fate < 0.15:
        again["hours"] = 30.0 if hours < 24 else 10.0
        return [(at, "delivered", first, ""), (at + _HOUR_MS, "delivered", again, "load.label-contradictory")]
    if 0.15 <= fate < 0.17:
        return [(at, "delivered", first, ""), (at + _HOUR_MS, "delivered", again, "load.label-twice")]
    return [(at, "delivered", first, odd)]


def _message(stream: str, fields: Fields, oddities: tuple[str, ...]) -> Message:
    key, value = str(fields["parcel_id"]).encode(), json.dumps(fields).encode()
    return Message(stream, str(fields["event_id"]), key, value, VALID, oddities)


def _with(message: Message, **changes: object) -> bytes:
    fields = json.loads(message.value)
    return json.dumps({name: value for name, value in {**fields, **changes}.items() if value is not ...}).encode()


def _fault(make: Callable[[Message], bytes], oddity: str = "load.malformed") -> Callable[[Message], Message]:
    return lambda message: replace(message, value=make(message), kind=MALFORMED, oddities=(oddity,))


_FAULTS: Final = (
    _fault(lambda message: b""),
    _fault(lambda message: message.value[: len(message.value) // 2]),
    _fault(lambda message: b"\x00\x00\x00\x03\xe7" + message.value),
    _fault(lambda message: _with(message, carrier=...)),
    _fault(lambda message: _with(message, at="yesterday")),
    _fault(lambda message: _with(message, at=884_541_351_600_000)),
    _fault(lambda message: _with(message, event_id="")),
    _fault(lambda message: b"\xff\xfe" + message.value),
)
_POISONS: Final = (
    # Nested deeper than any stack; longer than the cap; a number that no float holds; a lone surrogate.
    _fault(lambda message: b"[" * 100_000, "load.poison"),
    _fault(lambda message: b'{"x":"' + b"x" * 300_000 + b'"}', "load.poison"),
    _fault(lambda message: _with(message, at=...)[:-1] + b',"at":' + b"9" * 5_000 + b"}", "load.poison"),
    _fault(lambda message: _with(message, carrier=...)[:-1] + b',"carrier":"\\ud800"}', "load.poison"),
)
