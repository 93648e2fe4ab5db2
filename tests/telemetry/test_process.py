"""A real process tells of itself: by HTTP, by its log, by OTLP and through the log to ``riverrun status``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.embedded import Addresses, EmbeddedCluster
from riverrun.pipeline.template import write_new
from riverrun.runtime.ports import TopicSpec
from tests.cli.commands import run
from tests.stores.redis_server import RedisServer
from tests.telemetry.collector import Collector
from tests.telemetry.test_metrics import parsed
from tests.telemetry.worlds import ask

NAME = "health-parcels"
PATIENCE_S = 60.0
SHIPPED, DELIVERED = "health.shipped", "health.delivered"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_ADDRESS = re.compile(r"health and metrics at (http://\S+)")


class Process:
    """``riverrun run FILE --all``, and what it logs."""

    def __init__(self, file: Path, environment: dict[str, str]) -> None:
        program = str(Path(sys.executable).with_name("riverrun"))
        self._process = subprocess.Popen(
            [program, "run", str(file), "--all"], env=os.environ | environment, stderr=subprocess.PIPE, text=True
        )
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        self._lines.extend(self._process.stderr)

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return "".join(self._lines)

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until something holds, as long as the process runs."""
        deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
        while not holds():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, f"{what} did not come: {self.log}"
            pause.wait(0.1)

    def stop(self) -> int:
        """Stop it as an operator would; return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(30)
        self._thread.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def publish(addresses: Addresses, folder: Path) -> int:
    """Create the topics and publish the template's events, the first of them with a trace; return how many."""
    log = KafkaLog(dict(addresses.kafka))
    log.ensure_topics([TopicSpec(SHIPPED, 1), TopicSpec(DELIVERED, 1)])
    log.close()
    producer = kafka_producer(dict(addresses.kafka))
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines):
        topic, event = str(line["topic"]).replace("parcels.", "health."), line["event"]
        headers: list[tuple[str, str | bytes | None]] = [] if number else [("traceparent", TRACEPARENT.encode())]
        producer.produce(topic, json.dumps(event).encode(), str(event["parcel_id"]).encode(), headers=headers)
    assert producer.flush(30) == 0
    return len(lines)


def test_a_process_tells_how_it_is(tmp_path: Path, cluster: EmbeddedCluster, redis: RedisServer) -> None:
    """It logs where it listens, is ready, counts, says when Redis is away and for how long, and traces by OTLP."""
    file, *_ = write_new(NAME, tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace('"parcels.', '"health.'), encoding="utf-8")
    events = publish(cluster.addresses, tmp_path)
    with Collector() as collector:
        environment = {
            **cluster.addresses.as_environment(),
            "RIVERRUN_REDIS": redis.url,
            "RIVERRUN_DATA": str(tmp_path / "data"),
            "RIVERRUN_HEALTH_PORT": "0",
            "RIVERRUN_STATE_INTERVAL_MS": "100",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "NO_PROXY": "127.0.0.1",
        }
        process = Process(file, environment)
        try:
            process.until("the address", lambda: _ADDRESS.search(process.log) is not None)
            found = _ADDRESS.search(process.log)
            assert found is not None
            _look(process, found[1], events, environment, file, redis)
        finally:
            code = process.stop()
        assert code == 0
    traces = {span.trace_id.hex() for span in collector.spans}
    assert traces == {TRACEPARENT[3:35]}
    assert {span.name for span in collector.spans} == {f"process {SHIPPED}", "fold", "commit"}
    assert "riverrun_batch_records" in collector.metrics


def _look(process: Process, url: str, events: int, environment: dict[str, str], file: Path, redis: RedisServer) -> None:
    def folded() -> float:
        rows = parsed(ask(f"{url}/metrics").body.decode())
        return sum(
            value
            for name, labels, value in rows
            if name == "riverrun_records_in_total" and labels["stage"] == "ingest" and labels["pipeline"] == NAME
        )

    def ready() -> bool:
        return ask(f"{url}/health/ready").status == 200

    process.until("all events", lambda: folded() == events)
    process.until("readiness", ready)
    assert ask(f"{url}/health/live").status == 200
    redis.stop()
    process.until("the outage", lambda: not ready())
    (found,) = ask(f"{url}/health/ready").document["degraded"]
    assert (found["what"], found["where"]) == ("redis_away", "ingest+features+score+labels+learn[0]")

    def status() -> list[dict[str, str]]:
        told: list[dict[str, str]] = run("status", file, "--interval", "0", "--json", environment=environment).document[
            "degraded"
        ]
        return told

    process.until("status to tell", lambda: bool(status()))
    assert [each["what"] for each in status()] == ["redis_away"]
    words = run("status", file, "--interval", "0", environment=environment).out
    assert "degraded: redis_away at ingest+features+score+labels+learn[0] since" in words
    assert "Predictions go on from memory" in words
    redis.start()
    process.until("the end of the outage", ready)
    process.until("status to tell so", lambda: not status())
