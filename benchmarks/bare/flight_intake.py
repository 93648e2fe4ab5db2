"""Reading the producers' topics by hand, merged by event time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from benchmarks.bare.flight_decoding import Decoder, Source, Taken

_BATCH = 2_000


class Intake:
    """Reads all topics and hands events over by event time, the earliest first.

    A topic that has nothing at hand is waited for until the broker says that it is at its end.
    """

    def __init__(self, consumer: Consumer, sources: Mapping[str, Source], offsets: Mapping[str, int]) -> None:
        self._consumer = consumer
        self._decoders = {topic: Decoder(source) for topic, source in sources.items()}
        self._waiting: dict[str, deque[Taken]] = {topic: deque() for topic in sources}
        self._at_end = dict.fromkeys(sources, False)
        self._taken = dict(offsets)
        consumer.assign([TopicPartition(topic, 0, offset) for topic, offset in offsets.items()])

    def fill(self, timeout: float) -> None:
        """Read and decode what is there."""
        for message in self._consumer.consume(_BATCH, timeout):
            topic: Any = message.topic()
            error = message.error()
            if error is None:
                self._waiting[topic].append(self._decoders[topic].decode(message))
                self._at_end[topic] = False
            elif error.name() == "_PARTITION_EOF":
                self._at_end[topic] = True
            else:
                raise RuntimeError(error.str())

    def take(self, limit: int) -> list[Taken]:
        """Return up to ``limit`` records in order, as far as the order is certain."""
        taken: list[Taken] = []
        queues = list(self._waiting.values())
        ends = list(self._at_end.values())
        while len(taken) < limit:
            best: deque[Taken] | None = None
            for queue, at_end in zip(queues, ends, strict=True):
                if not queue:
                    if not at_end:
                        return self._noted(taken)
                elif best is None or queue[0].time < best[0].time:
                    best = queue
            if best is None:
                break
            taken.append(best.popleft())
        return self._noted(taken)

    def _noted(self, taken: list[Taken]) -> list[Taken]:
        for each in taken:
            self._taken[each.message.topic()] = each.message.offset() + 1
        return taken

    def offsets(self) -> list[TopicPartition]:
        """Return where to go on after all that was taken."""
        return [TopicPartition(topic, 0, offset) for topic, offset in self._taken.items()]
