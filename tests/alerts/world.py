"""A pipeline on a real broker, and its alerts service as a process that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.embedded import EmbeddedCluster
from riverrun.launch.connect import connect
from riverrun.pipeline import load
from riverrun.records.items import Alert, Evaluation, Item
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings
from services.alerts.core import AlertsCore
from services.alerts.signals import Signal
from tests.alerts.made import pipeline_file

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 100.0


@dataclass
class World:
    """A pipeline on the tests' broker, and its alerts service as a process."""

    file: Path
    deployment: Deployment
    environment: dict[str, str]
    properties: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self, failpoint: str = "") -> None:
        """Start the service; it ends itself at the failpoint as ``kill -9`` would."""
        environment = {**os.environ, **self.environment, "RIVERRUN_FAILPOINT": failpoint}
        with (self.file.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.alerts", str(self.file)], cwd=ROOT, env=environment, stderr=log
            )

    @contextmanager
    def stages(self, *names: str) -> Iterator[Callable[[], str]]:
        """Run stages beside it; give what returns their log so far."""
        path = self.file.parent / "stages.log"
        command = [sys.executable, "-c", "from riverrun.cli import main; main()", "run", str(self.file), *names]
        with path.open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **self.environment}, stderr=log)
        try:
            yield lambda: path.read_text(encoding="utf-8")
        finally:
            process.terminate()
            process.wait(LIMIT_S)

    def publish(self, stream: str, event: dict[str, object]) -> None:
        """Publish an event as a producer would."""
        producer = kafka_producer(self.properties)
        topic = f"{self.deployment.pipeline.name}-raw.{stream}"
        producer.produce(topic, json.dumps(event).encode(), str(event["id"]).encode())
        assert producer.flush(LIMIT_S) == 0

    def kill(self) -> None:
        """End it as hard as can be."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def died(self) -> bool:
        """Whether the failpoint was reached."""
        return self.process is not None and self.process.poll() == -signal.SIGKILL

    def send(self, items: Sequence[Item], kind: Kind) -> None:
        """Write records to one of the pipeline's topics."""
        producer = kafka_producer(self.properties)
        for item in items:
            key, value, headers = self.deployment.wire.to_wire(item, 0)
            producer.produce(self.deployment.topology.names[kind], value, key, 0, headers=[*headers])
        assert producer.flush(LIMIT_S) == 0

    def alerts(self) -> list[Alert]:
        """Return what is on the alerts topic."""
        records = self.deployment.log.tail(self.deployment.topology.names[Kind.ALERTS], 0, 10_000)
        return [item for record in records if isinstance(item := self.deployment.wire.item(record), Alert)]

    def wait(self, until: Callable[[], bool]) -> None:
        """Wait until something is so."""
        limit = time.monotonic() + LIMIT_S
        while not until():
            assert time.monotonic() < limit, (self.file.parent / "log").read_text()[-3_000:]
            time.sleep(0.2)  # another process works meanwhile, and can only be asked


@contextmanager
def running_world(
    cluster: EmbeddedCluster, tmp_path: Path, settings_of: dict[str, str] | None = None
) -> Iterator[World]:
    """Make a pipeline of a test's own, with more settings if given."""
    file = pipeline_file(tmp_path, f"kills-{tmp_path.name}".replace("_", "-")[-60:])
    addresses = cluster.addresses
    properties = dict(addresses.kafka)
    pipeline = load(file)
    log = KafkaLog(properties)
    log.ensure_topics([TopicSpec(stream.topic, 1) for stream in pipeline.streams])
    log.close()
    settings = Settings(data_folder=tmp_path / "data")
    environment = {
        "RIVERRUN_KAFKA": properties["bootstrap.servers"],
        "RIVERRUN_REDIS": addresses.redis_url,
        "RIVERRUN_DATA": str(settings.data_folder),
        # Else each start would wait until the broker has given up the one that was killed.
        "RIVERRUN_ALERTS_INSTANCE": "the-one",
        **(settings_of or {}),
    }
    made = World(file, connect(pipeline, addresses, settings), environment, properties)
    try:
        yield made
    finally:
        made.kill()
        made.deployment.log.close()


def expected_alerts(world: World, evaluations: Sequence[Evaluation]) -> list[Alert]:
    """What the rules say of the evaluations: one plain fold, without a log or a table."""
    core = AlertsCore(world.deployment.pipeline)
    topic = world.deployment.topology.names[Kind.EVALUATIONS]
    found: list[Alert] = []
    for number, each in enumerate(evaluations):
        signal_of = Signal(number, 1, each.source._replace(topic=topic, position=number), each)
        found += core.step(signal_of).alerts
    return found
