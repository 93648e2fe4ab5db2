"""The attack on the producers' topics: every malformed message must end as a dead letter, and nothing may stop."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from confluent_kafka import Message, Producer

from hostile.message_judge import MessageJudge
from hostile.mutations import spoil
from hostile.outcome import Outcome
from hostile.prey import PARTITIONS, Prey, events_of, samples_of
from hostile.scene import Scene
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.records.ids import derived_id
from riverrun.records.items import DeadLetter, Event, Source
from riverrun.records.topics import Kind

__all__ = ["GOOD", "MALFORMED", "SPOILED", "Found", "account", "attack_topics"]

_PATIENCE_S: Final = 120.0
_WAIT_S: Final = 0.25
_KEYS: Final = (None, b"", b"\xff\xfe", b"k" * 60_000, b"\x00")
# A broker refuses times to come by itself.
_TIMES: Final = (1, 946_684_800_000)

MALFORMED: Final = "malformed"
SPOILED: Final = "spoiled"
GOOD: Final = "good"


class _Shot(NamedTuple):
    """A message to be sent; ``extras`` are its headers, partition and time."""

    what: str
    topic: str
    value: bytes | None
    key: bytes | None
    extras: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What lies where: the sources of events, and the reasons of dead letters by their source; and what was dropped."""

    events: Counter[Source]
    letters: dict[Source, list[str]]
    duplicates: int


def attack_topics(scene: Scene, count: int, seed: int) -> Outcome:
    """Send malformed messages to every topic that producers write, among good ones, and account for each.

    A message that is valid though it was spoiled is sent too, beside: it must end as an event, as a duplicate or as a
    dead letter. Afterwards every stage must have folded all there is, good events be predicted on, and alerts told.

    Parameters
    ----------
    scene
        The pipeline, with stages and alerts running.
    count
        How many malformed messages.
    seed
        Of the chance that spoils them.

    Raises
    ------
    RuntimeError
        If Kafka does not take the messages.
    """
    outcome, before, folded = Outcome(tried=count), _find(scene), scene.folded()
    places = _publish(scene, _shots(scene.prey, count, random.Random(seed)))
    scene.settle(folded + len(places))
    account(places, (before, _find(scene)), outcome)
    scene.prove()
    return outcome


def _shots(prey: Prey, count: int, chance: random.Random) -> Iterator[_Shot]:
    """Return so many malformed messages, with what is valid all the same and half of the good ones among them."""
    samples = samples_of(prey)
    judges = {each.topic: MessageJudge(each, derived_id(each.schema)) for each in schemas_of(prey.pipeline).streams}
    good = [
        _Shot(GOOD, topic, json.dumps(event).encode(), event["parcel_id"].encode(), {})
        for topic, event in events_of(prey)
    ]
    half = len(good) // 2
    yield from good[:half]
    made = number = 0
    while made < count:
        topic = chance.choice(sorted(samples))
        spoiled = spoil(chance, samples[topic]).value
        value = spoiled if chance.random() > 0.01 else None
        extras: dict[str, Any] = {"headers": _headers(chance), "partition": chance.randrange(PARTITIONS)}
        if chance.random() < 0.1:
            extras["timestamp"] = chance.choice(_TIMES)
        key = chance.choice(_KEYS) if chance.random() < 0.2 else str(number).encode()
        readable = judges[topic].is_readable(value)
        made += not readable
        number += 1
        yield _Shot(SPOILED if readable else MALFORMED, topic, value, key, extras)
    yield from good[half:]


def _headers(chance: random.Random) -> list[tuple[str, str | bytes | None]]:
    """Return a producer's headers: mostly none, now and then many, huge, or such as only riverrun itself writes."""
    kind = chance.randrange(20)
    if kind == 0:
        return [(f"h{number}", chance.randbytes(8)) for number in range(200)]
    if kind == 1:
        return [("riverrun-seq", b"0:0"), ("riverrun-source", b"x/0/0"), ("riverrun-stream", b"\xff")]
    if kind == 2:
        return [("h", b"x" * 90_000), ("", None), ("\u202e", b"\xff")]
    return []


def _publish(scene: Scene, shots: Iterator[_Shot]) -> dict[Source, str]:
    """Send messages; return where all lie, with what each is."""
    producer = kafka_producer(dict(scene.prey.addresses.kafka))
    places: dict[Source, str] = {}
    sent = 0
    for shot in shots:

        def delivered(error: object, message: Message, what: str = shot.what) -> None:
            if error is None:
                places[Source(message.topic() or "", message.partition() or 0, message.offset() or 0)] = what

        _send(producer, shot, delivered)
        sent += 1
        scene.look()
    if producer.flush(_PATIENCE_S) or len(places) != sent:
        raise RuntimeError(f"Kafka took {len(places)} of {sent} messages")
    return places


def _send(producer: Producer, shot: _Shot, delivered: Any) -> None:
    while True:
        try:
            producer.produce(shot.topic, shot.value, shot.key, on_delivery=delivered, **shot.extras)
        except BufferError:
            producer.poll(_WAIT_S)
        else:
            producer.poll(0)
            return


def account(places: dict[Source, str], looks: tuple[Found, Found], outcome: Outcome) -> None:
    """Find every message again by its place: the malformed in the dead letters, the others in either topic.

    Of the others what is in neither must be counted as a duplicate. Looked for it was before it was sent and after.
    """
    before, found = looks
    missing = 0
    for place, what in places.items():
        reasons, times = found.letters.get(place, []), found.events[place]
        if what == MALFORMED:
            outcome.answers["+".join(reasons) or ("accepted" if times else "nowhere")] += 1
            if (len(reasons), times) != (1, 0):
                outcome.accuse(f"malformed, and {times} times an event, and a dead letter for {reasons}: {place}")
            continue
        missing += not (reasons or times)
        if len(reasons) + times > 1:
            outcome.accuse(f"{what}, and {times} times an event, and a dead letter for {reasons}: {place}")
        if what == SPOILED:
            outcome.valid["+".join(reasons) or ("accepted" if times else "duplicate")] += 1
    strangers = (found.events.keys() | found.letters.keys()) - places.keys()
    strangers -= before.events.keys() | before.letters.keys()
    outcome.accuse(f"{len(strangers)} records come from nowhere, such as {next(iter(strangers), '')}", len(strangers))
    duplicates = found.duplicates - before.duplicates
    outcome.accuse(f"{missing} messages are nowhere, {duplicates} were duplicates", abs(missing - duplicates))


def _find(scene: Scene) -> Found:
    stages = [stage for stage in scene.stages() if stage.stage == "ingest"]
    found = Found(Counter(), {}, sum(stage.counters.get("duplicates", 0) for stage in stages))
    for item in scene.items(Kind.EVENTS):
        if isinstance(item, Event):
            found.events[item.source] += 1
    for item in scene.items(Kind.DEAD_LETTERS):
        if isinstance(item, DeadLetter):
            found.letters.setdefault(item.source, []).append(item.reason)
    return found
