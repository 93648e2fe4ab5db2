"""The load of the fault tests: parcels' lives, with all that real streams do wrong, from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["DUPLICATE", "MALFORMED", "VALID", "Message", "make_messages"]

VALID: Final = "valid"
DUPLICATE: Final = "duplicate"
MALFORMED: Final = "malformed"

_START_MS: Final = 1_735_689_600_000
_HOUR_MS: Final = 3_600_000
_EVERY_MS: Final = 600_000
_CARRIERS: Final = {"swift": 40.0, "steady": 25.0, "slow": 15.0}

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """A message for a producers' topic, and what ought to become of it.

    ``stream`` is the last part of the topic's name; ``id`` that of the event, also of one that is malformed.
    """

    stream: str
    id: str
    key: bytes
    value: bytes
    kind: str = VALID


def make_messages(parcels: int, seed: int) -> list[Message]:
    """Make the messages of some parcels, about 3.7 of each, in the order in which they are to be published."""
    rng = random.Random(seed)
    timed = [event for number in range(parcels) for event in _life(number, rng)]
    # 5 % come late, by up to an hour and a half; the topic's order is not that of time.
    late = [at + rng.randrange(90) * 60_000 if rng.random() < 0.05 else at for at, _, _ in timed]
    order = sorted(range(len(timed)), key=lambda index: (late[index], index))
    messages = [_message(stream, fields) for _, stream, fields in (timed[index] for index in order)]
    return _break_some(messages, rng)


def _life(number: int, rng: random.Random) -> list[tuple[int, str, Fields]]:
    """Make one parcel's events: (time, stream, fields)."""
    carrier = rng.choice(sorted(_CARRIERS))
    shipped_at = _START_MS + number * _EVERY_MS
    delay = rng.expovariate(0.5)
    distance = rng.uniform(20, 900)
    hours = 2 + distance / _CARRIERS[carrier] + delay * rng.uniform(0, 6)
    parcel: Fields = {"parcel_id": f"p{number:05d}", "carrier": carrier}
    scans = [
        (shipped_at - rng.randrange(1, 5 * _HOUR_MS), "scanned", {"event_id": f"c{number:05d}-{scan}", "delay": delay})
        for scan in range(rng.choice((0, 1, 1, 2, 3)))
    ]
    weight = None if rng.random() < 0.2 else round(rng.uniform(0.1, 20), 2)
    shipping: Fields = {"event_id": f"s{number:05d}", "distance": round(distance, 1), "weight": weight}
    events = [*scans, (shipped_at, "shipped", shipping), *_deliveries(number, shipped_at, hours, rng)]
    return [(at, stream, {**parcel, "at": at, **fields}) for at, stream, fields in events]


def _deliveries(number: int, shipped_at: int, hours: float, rng: random.Random) -> list[tuple[int, str, Fields]]:
    """Make a parcel's labels: mostly one; some early, late, never, or two that contradict each other."""
    fate = rng.random()
    if fate < 0.05:
        return []
    if fate < 0.08:
        hours = 80.0
    at = shipped_at - 300_000 if 0.08 <= fate < 0.11 else shipped_at + round(hours * _HOUR_MS)
    deliveries: list[tuple[int, str, Fields]] = [
        (at, "delivered", {"event_id": f"d{number:05d}-0", "hours": round(hours, 2)})
    ]
    if 0.11 <= fate < 0.15:
        again: Fields = {"event_id": f"d{number:05d}-1", "hours": 30.0 if hours < 24 else 10.0}
        deliveries.append((at + _HOUR_MS, "delivered", again))
    return deliveries


def _message(stream: str, fields: Fields) -> Message:
    return Message(stream, str(fields["event_id"]), str(fields["parcel_id"]).encode(), json.dumps(fields).encode())


def _break_some(messages: list[Message], rng: random.Random) -> list[Message]:
    """Put in 3 % duplicates, somewhat later than what they repeat, and 2 % malformed messages."""
    placed = [(float(index), message) for index, message in enumerate(messages)]
    for index, message in enumerate(messages):
        # Not near the end, where few messages span days: ids are remembered for one.
        if index < 0.9 * len(messages) and rng.random() < 0.035:
            placed.append((index + rng.uniform(0.1, 60), replace(message, kind=DUPLICATE)))
        if rng.random() < 0.02:
            broken = _FAULTS[rng.randrange(len(_FAULTS))](message)
            placed.append((index + 0.05, broken))
    return [message for _, message in sorted(placed, key=lambda pair: pair[0])]


def _with(message: Message, **changes: object) -> bytes:
    fields = json.loads(message.value)
    return json.dumps({name: value for name, value in {**fields, **changes}.items() if value is not ...}).encode()


def _fault(make: Callable[[Message], bytes]) -> Callable[[Message], Message]:
    return lambda message: replace(message, value=make(message), kind=MALFORMED)


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
