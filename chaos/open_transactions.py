"""Looks whether any topic of a pipeline has an open transaction when all is at rest (I8)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from chaos.findings import Finding, Sort

__all__ = ["PATIENCE_S", "open_transactions"]

PATIENCE_S: Final = 75.0
"""Somewhat longer than Faust's transactions may be open: one that was killed leaves its last one to the broker."""
_ANSWER_S: Final = 30.0
_LOOK_S: Final = 0.5


def open_transactions(kafka: Mapping[str, str], pipeline: str, patience_s: float = PATIENCE_S) -> Iterator[Finding]:
    """Yield each partition whose last stable offset is not its end, and does not come to be.

    Parameters
    ----------
    kafka
        librdkafka's properties, at least ``bootstrap.servers``.
    pipeline
        Its topics, those of its alerts' tables too, are looked at.
    patience_s
        How long an open transaction is waited for, in seconds.
    """
    settings = {**kafka, "group.id": "riverrun-chaos", "log_level": 0}
    until, pause = time.monotonic() + patience_s, threading.Event()
    with (
        closing(Consumer({**settings, "isolation.level": "read_committed"})) as stable,
        closing(Consumer({**settings, "isolation.level": "read_uncommitted"})) as written,
    ):
        places = list(_places(stable, pipeline))
        while True:
            open_ones = [(place, below) for place in places if (below := _ends(written, place) - _ends(stable, place))]
            if not open_ones or time.monotonic() > until:
                break
            pause.wait(_LOOK_S)
    for place, below in open_ones:
        text = f"a transaction is open in {place.topic}[{place.partition}], {below} offsets below its end"
        yield Finding(Sort.WRONG, text)


def _places(client: Consumer, pipeline: str) -> Iterator[TopicPartition]:
    for name, topic in sorted(client.list_topics(timeout=_ANSWER_S).topics.items()):
        if name.startswith((f"{pipeline}.", f"riverrun.{pipeline}.")):
            yield from (TopicPartition(name, number) for number in sorted(topic.partitions))


def _ends(client: Consumer, place: TopicPartition) -> int:
    """Return where a partition ends for whoever reads as this client does."""
    _, high = client.get_watermark_offsets(place, timeout=_ANSWER_S)
    return int(high)
