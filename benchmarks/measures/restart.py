"""``restart``: from the start of a process to its first prediction, with much state and with none.

Every event that is published beforehand brings a new entity and a prediction that waits for a label, so that as many
entities are in Redis and as many predictions in the local store. The clock runs from before the process is made, its
interpreter and imports included, until a consumer has the prediction on an event that was appended just before.
"""

from __future__ import annotations

import time
from typing import Final

from benchmarks.figures import Figure
from benchmarks.lab import FIVE_STAGES, Lab, schema_ids
from benchmarks.rounds import isolated, median_and_spread
from benchmarks.service import await_, service
from benchmarks.synthetic import Ask, busy_messages, busy_pipeline
from examples.flights.arrivals import Watch
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.pipeline import Pipeline
from riverrun.records.topics import Kind

_ENTITIES: Final = {"quick": 50_000, "full": 1_000_000}
_FLUSH_S: Final = 120.0
_LIMIT_S: Final = 3_600.0


def pipeline(name: str) -> Pipeline:
    """Return a pipeline that forgets nothing meanwhile."""
    return busy_pipeline(name, window="28d", wait="28d", dedupe="28d")


def measure(lab: Lab) -> Figure:
    """Measure."""
    entities = _ENTITIES[lab.size.name]
    full = _Restarts(lab, "restart-full")
    empty = _Restarts(lab, "restart-empty")
    full.fill(entities)
    empty.fill(0)
    rounds = [(full.once(), empty.once()) for _ in range(lab.size.rounds - 1)]
    value, spread = median_and_spread([seconds for seconds, _ in rounds])
    details = {
        "entities": entities,
        "pending_labels": entities,
        "empty_s": round(median_and_spread([seconds for _, seconds in rounds])[0], 2),
    }
    short_of = "" if entities == _ENTITIES["full"] else f"{entities:,} entities, not a million"
    each = tuple(seconds for seconds, _ in rounds)
    return Figure("restart", value, spread, each, details=details, short_of=short_of)


class _Restarts:
    """One pipeline that is started again and again."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab = lab
        self._name = name
        self._deployment = lab.connect(pipeline(name))
        self._deployment.ensure_topics()
        self._next = 0

    @property
    def _predictions(self) -> str:
        return self._deployment.topology.names[Kind.PREDICTIONS]

    def fill(self, entities: int) -> None:
        """Publish, and let a member fold everything and stop."""
        self._publish(max(entities, 1))
        with service(self._lab, pipeline, self._name, FIVE_STAGES):
            await_(f"{self._name} to fold everything", self._all_predicted, _LIMIT_S)

    def _all_predicted(self) -> bool:
        tail = self._deployment.log.tail(self._predictions, 0, 1)
        return bool(tail) and self._deployment.wire.position(tail[0])[1] + 1 >= self._next

    def _publish(self, count: int) -> None:
        isolated(publish_asks, self._lab, self._name, self._next, count)
        self._next += count

    def once(self) -> float:
        """Append an event, start a member, and return the seconds until the prediction on it is there."""
        self._publish(1)
        watch = Watch(self._deployment.log, self._predictions)
        began = time.time()
        with service(self._lab, pipeline, self._name, FIVE_STAGES, from_nothing=True):
            await_(f"the first prediction of {self._name}", lambda: bool(watch.seen), _LIMIT_S)
        watch.close()
        return watch.seen[0][0] / 1000 - began


def publish_asks(lab: Lab, name: str, start: int, count: int) -> None:
    """Publish events of new entities; the numbers before ``start`` were published earlier."""
    deployment = lab.connect(pipeline(name))
    plan = (Ask(f"w{number}", number * 10) for number in range(start, start + count))
    producer = kafka_producer({"linger.ms": 20, **lab.kafka})
    for topic, key, value in busy_messages(deployment.pipeline, schema_ids(deployment), plan, start):
        producer.produce(topic, value, key)
        producer.poll(0)
    if producer.flush(_FLUSH_S) > 0:
        raise RuntimeError("the broker does not take the events")
    deployment.log.close()
