"""``publish`` sends the events of a file, and tells which lines are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from riverrun.adapters.kafka_log import KafkaLog
from riverrun.embedded import EmbeddedCluster
from riverrun.pipeline.template import write_new
from riverrun.runtime.ports import TopicSpec
from tests.cli.commands import Ran, run

Publish = Callable[..., Ran]
_ALL = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A new pipeline, with topics of this test's own."""
    file, *_ = write_new("publishing", tmp_path)
    for path in (file, tmp_path / "events.jsonl"):
        text = path.read_text(encoding="utf-8").replace('"parcels.', f'"{tmp_path.name}.')
        path.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def publish(file: Path, cluster: EmbeddedCluster) -> Publish:
    """Call the command on the session's servers."""
    log = KafkaLog(dict(cluster.addresses.kafka))
    log.ensure_topics([TopicSpec(f"{file.parent.name}.{name}", 1) for name in ("shipped", "delivered")])
    log.close()
    environment = {**cluster.addresses.as_environment(), "RIVERRUN_DATA": str(file.parent / "data")}

    def command(*arguments: object) -> Ran:
        return run("publish", file, *arguments, environment=environment)

    return command


def _held(cluster: EmbeddedCluster, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    log = KafkaLog(dict(cluster.addresses.kafka))
    try:
        return [(record.key, record.value) for record in log.tail(topic, 0, _ALL)]
    finally:
        log.close()


def test_the_events_of_a_new_pipeline_are_sent(publish: Publish, file: Path, cluster: EmbeddedCluster) -> None:
    """What ``init`` wrote is in the topics afterwards, in order, keyed and framed."""
    ran = publish(file.parent / "events.jsonl", "--json")
    prefix = file.parent.name
    topics = {f"{prefix}.shipped": 60, f"{prefix}.delivered": 60}
    assert (ran.code, ran.document) == (0, {"sent": topics, "refused": []})
    lines = [json.loads(line) for line in (file.parent / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    for topic in topics:
        keys = [line["event"]["parcel_id"].encode() for line in lines if line["topic"] == topic]
        found = _held(cluster, topic)
        assert [key for key, _ in found] == keys
        assert all(value is not None and value[0] == 0 for _, value in found)


def test_topics_that_are_not_there_are_told(file: Path, cluster: EmbeddedCluster) -> None:
    """On servers that are not its own the command makes no topics."""
    environment = {**cluster.addresses.as_environment(), "RIVERRUN_DATA": str(file.parent / "data")}
    ran = run("publish", file, file.parent / "events.jsonl", environment=environment)
    assert (ran.code, ran.out) == (1, "")
    assert f"{file.parent.name}.shipped" in ran.err


def test_lines_that_are_no_events_are_told(publish: Publish, file: Path, cluster: EmbeddedCluster) -> None:
    """Each with its number and why; the others are sent all the same."""
    good = json.loads((file.parent / "events.jsonl").read_text(encoding="utf-8").splitlines()[0])
    heavy = {"topic": good["topic"], "event": {**good["event"], "weight": -1.0}}
    nowhere = {"topic": "elsewhere", "event": {}}
    lines = [json.dumps(good), "", "{", json.dumps(heavy), json.dumps(nowhere), "[]", json.dumps({"event": {}})]
    events = file.parent / "mixed.jsonl"
    events.write_text("\n".join(lines), encoding="utf-8")
    ran = publish(events, "--json")
    assert ran.code == 1
    assert ran.document["sent"] == {good["topic"]: 1}
    refused = {each["line"]: each["reason"] for each in ran.document["refused"]}
    assert refused == {3: "not_json", 4: "rule", 5: "out_of_range", 6: "wrong_type", 7: "missing_field"}
    assert len(_held(cluster, good["topic"])) == 1
    told = publish(events)
    assert (told.code, told.out) == (1, f"1 events to {good['topic']}\n")
    assert "line 4 is not sent: the event breaks the rule" in told.err


def test_lines_may_be_the_events_of_one_stream(publish: Publish, file: Path) -> None:
    """By its name or its topic; one that is not there is wrong usage."""
    good = json.loads((file.parent / "events.jsonl").read_text(encoding="utf-8").splitlines()[0])
    events = file.parent / "shipped.jsonl"
    events.write_text(json.dumps(good["event"]), encoding="utf-8")
    for name in ("shipped", good["topic"]):
        assert publish(events, "--stream", name, "--json").document["sent"] == {good["topic"]: 1}
    ran = publish(events, "--stream", "elsewhere")
    assert (ran.code, ran.out) == (2, "")
    assert "the pipeline has no stream 'elsewhere'" in ran.err
