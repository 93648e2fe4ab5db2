"""The demo's producer: a year of real events as Kafka messages, with some faults on purpose.

`flight_messages` gives what a producer would publish, in publish order: the events of
`examples.flights.year`, encoded and keyed. On top of them come malformed copies and duplicates, and some
messages are out of order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import fastavro
import numpy as np
from fastavro.types import Schema

from examples.flights.corruption import AVRO_CORRUPTIONS, JSON_CORRUPTIONS, Target, encode_avro, encode_json
from examples.flights.year import (
    MINUTE_MS,
    STREAMS,
    Ints,
    StreamSpec,
    all_events,
    in_order,
    load_tables,
    schema_text,
)

MALFORMED_SHARE = 0.005
DUPLICATE_SHARE = 0.01
DISPLACED_SHARE = 0.02
LATEST_DISPLACEMENT_MS = 10 * MINUTE_MS
LATEST_DUPLICATE_MS = 30 * MINUTE_MS

KINDS = ("good", "displaced", "duplicate", *sorted({*AVRO_CORRUPTIONS, *JSON_CORRUPTIONS}))
_GOOD, _DISPLACED, _DUPLICATE = range(3)


class RawMessage(NamedTuple):
    """One message as a producer hands it to Kafka.

    Parameters
    ----------
    topic
        Kafka topic.
    key
        Kafka key; None if the producer forgot it.
    value
        Payload.
    event_time_ms
        Event time of the event, in milliseconds since the epoch, UTC; also the Kafka timestamp.
    kind
        ``good``; ``displaced`` (good, but published up to ten minutes late); ``duplicate`` (repeats an
        earlier event id); or the name of a corruption, see `examples.flights.corruption`.
    """

    topic: str
    key: bytes | None
    value: bytes
    event_time_ms: int
    kind: str


@cache
def parsed_schema(spec: StreamSpec) -> Schema:
    """Parse the stream's Avro schema for fastavro."""
    schema: Schema = json.loads(schema_text(spec))
    return fastavro.parse_schema(schema)


class Plan(NamedTuple):
    """What is published, in publish order; all arrays have shape (n,).

    Parameters
    ----------
    streams, rows
        Index into `STREAMS`, and row of that stream's table.
    times
        Event times in milliseconds.
    kinds
        Index into `KINDS`.
    """

    streams: Ints
    rows: Ints
    times: Ints
    kinds: Ints


def publish_plan(seed: int, limit: int | None = None) -> Plan:
    """Decide what is published and in which order.

    Every good event is published once. Malformed copies and duplicates come on top of them.

    Parameters
    ----------
    seed
        Seed of all that is random.
    limit
        Number of messages to keep, of whatever kind, from the start; None for all.
    """
    streams, rows, times = all_events(load_tables())
    rng = np.random.default_rng(seed)
    n = len(times)

    kinds = np.where(rng.random(n) < DISPLACED_SHARE, _DISPLACED, _GOOD)
    delays = np.where(kinds == _DISPLACED, rng.integers(MINUTE_MS, LATEST_DISPLACEMENT_MS, n), 0)
    published = times + delays

    again = np.flatnonzero(rng.random(n) < DUPLICATE_SHARE)
    again_at = published[again] + rng.integers(1_000, LATEST_DUPLICATE_MS, len(again))

    spoiled = np.flatnonzero(rng.random(n) < MALFORMED_SHARE)
    spoiled_at = published[spoiled] + rng.integers(0, MINUTE_MS, len(spoiled))
    spoiled_kinds = np.zeros(len(spoiled), dtype=np.int64)
    for index, spec in enumerate(STREAMS):
        mine = streams[spoiled] == index
        options = np.array([KINDS.index(kind) for kind in spec.corruptions])
        # In turn rather than at random, so that even a short run sees every kind.
        spoiled_kinds[mine] = options[np.arange(mine.sum()) % len(options)]

    events = np.concatenate([np.arange(n), again, spoiled])
    order = np.lexsort((streams[events], np.concatenate([published, again_at, spoiled_at])))[:limit]
    all_kinds = np.concatenate([kinds, np.full(len(again), _DUPLICATE), spoiled_kinds])
    events = events[order]
    return Plan(streams[events], rows[events], times[events], all_kinds[order])


def expected_counts(seed: int, limit: int | None = None) -> Counter[tuple[str, str]]:
    """Count the messages that `flight_messages` will give, by topic and kind, without making them.

    Examples
    --------
    >>> counts = expected_counts(seed=7, limit=1000)
    >>> sum(counts.values())
    1000
    """
    plan = publish_plan(seed, limit)
    pairs = zip(plan.streams.tolist(), plan.kinds.tolist(), strict=True)
    return Counter({(STREAMS[s].topic, KINDS[k]): count for (s, k), count in Counter(pairs).items()})


def flight_messages(schema_ids: Mapping[str, int], seed: int, limit: int | None = None) -> Iterator[RawMessage]:
    """Yield the messages in publish order, the same ones for the same seed.

    Parameters
    ----------
    schema_ids
        Schema id by topic, for the streams that travel as Avro.
    seed
        Seed of all that is random: what is displaced, repeated, and how it is spoiled.
    limit
        Number of messages, of whatever kind; None for the whole year.

    Raises
    ------
    KeyError
        If the schema id of an Avro stream is missing.
    """
    tables = load_tables()
    plan = publish_plan(seed, limit)
    targets = [
        Target(parsed_schema(s), 0 if s.json else schema_ids[s.topic], s.key, s.time, s.number, s.impossible)
        for s in STREAMS
    ]
    events = zip(in_order(tables, plan.streams, plan.rows), plan.times.tolist(), plan.kinds.tolist(), strict=True)
    for number, ((stream, record), time, kind) in enumerate(events):
        spec, target = STREAMS[stream], targets[stream]
        name = KINDS[kind]
        if kind > _DUPLICATE:
            record["event_id"] = f"X-{number}-{record['event_id']}"
            key, value = spec.corruptions[name](record, target)
            yield RawMessage(spec.topic, key, value, time, name)
            continue
        value = encode_json(record) if spec.json else encode_avro(record, target.schema, target.schema_id)
        yield RawMessage(spec.topic, str(record[spec.key]).encode(), value, time, name)
