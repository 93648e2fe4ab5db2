"""Faust is told where its changelogs end: behind the last record that it will be shown."""

from __future__ import annotations

import asyncio
import inspect
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from riverrun.adapters.kafka_log import KafkaLog
from riverrun.embedded import EmbeddedCluster
from riverrun.runtime.ports import TopicSpec
from services.alerts.prompt_start import PromptConsumer, visible_end


def test_the_end_is_behind_the_last_record_that_is_shown(cluster: EmbeddedCluster) -> None:
    """Not behind the marker of its transaction, nor behind what was aborted; an empty topic ends where it begins."""
    log = KafkaLog(dict(cluster.addresses.kafka))
    topic = f"ends-{uuid4().hex[:8]}"
    log.ensure_topics([TopicSpec(topic, 1)])
    assert visible_end(log, topic, 0) == 0
    writer = log.writer(topic)
    writer.open()
    for number, kept in enumerate((True, True, False)):
        writer.begin()
        writer.send(topic, 0, b"key", b"%d" % number, [])
        if kept:
            writer.commit({}, "")
        else:
            writer.abort()
    writer.close()
    (last,) = log.tail(topic, 0, 1)
    assert (last.value, visible_end(log, topic, 0)) == (b"1", last.offset + 1)
    assert log.high_watermark(topic, 0) > last.offset + 1
    log.close()


def test_no_fetch_is_held_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust lets a broker hold one that finds nothing for 1.5 s, and for so long the stream did not begin."""
    name = "_fetch_max_wait_ms"
    client = import_module("aiokafka").AIOKafkaConsumer
    assert f"self.{name} = fetch_max_wait_ms" in inspect.getsource(client.__init__), "it has another name by now"
    made = SimpleNamespace(**{name: 1_500})
    monkeypatch.setattr(AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: made)
    monkeypatch.setattr(AIOKafkaConsumerThread, "__init__", lambda *_, **rest: None)
    consumer: Any = object.__new__(PromptConsumer.knowing(lambda topic, partition: 0))
    consumer.loop = consumer.beacon = None
    thread: Any = consumer._new_consumer_thread()
    assert vars(thread._create_worker_consumer(None))[name] == 100


def test_faust_asks_for_that() -> None:
    """Of every partition, whatever its client has fetched by then."""
    ends = {("one", 0): 7, ("two", 3): 0}
    known = PromptConsumer.knowing(lambda topic, partition: ends[topic, partition])
    consumer = object.__new__(known)
    places = [TP("one", 0), TP("two", 3)]
    assert asyncio.run(consumer.highwaters(*places)) == {places[0]: 7, places[1]: 0}
