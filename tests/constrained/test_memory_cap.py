"""A short form of the demo in a process that the kernel would kill if it took more than 256 MiB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

import examples.flights
from examples.flights.outcomes import OutcomeReader, auc
from examples.flights.publish import SEED
from examples.flights.source import flight_messages
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.adapters.rocks_store import open_slot
from riverrun.embedded import EmbeddedCluster
from riverrun.launch.connect import connect
from riverrun.pipeline import load
from riverrun.records.items import Prediction
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.settings import Settings
from tests.constrained.limits import memory_limit

EVENTS = 12_000
_MORE = '"own_delay": last(departed.dep_delay).by("flight_id").over("28d", panes=96),'
"""A feature with an entity for each flight: so many that they do not all fit into what the process may have of them."""
LIMIT = 256 << 20
_TOPICS = ("flights.scheduled", "flights.departed", "flights.arrived", "weather.observed")
_EXAMPLE = Path(examples.flights.__path__[0])
_RIVERRUN = (sys.executable, "-c", "from riverrun.cli import main; main()")
_PATIENCE_S = 180.0
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's pipeline under a name of its own, and where it runs."""

    file: Path
    deployment: Deployment
    environment: Mapping[str, str]

    def records(self, kind: Kind) -> int:
        """Return the end of one of its topics."""
        return self.deployment.log.high_watermark(self.deployment.topology.names[kind], 0)

    def predictions(self) -> list[Prediction]:
        """Return all predictions."""
        deployment = self.deployment
        records = deployment.log.tail(deployment.topology.names[Kind.PREDICTIONS], 0, 1 << 30)
        return [item for record in records if isinstance(item := deployment.wire.item(record), Prediction)]


def demo(name: str, topics: str, cluster: EmbeddedCluster, folder: Path) -> Demo:
    """Copy the demo's pipeline file, with another name and other topics, and connect it."""
    place = folder / name
    shutil.copytree(_EXAMPLE, place, ignore=shutil.ignore_patterns("__pycache__"))
    file = place / "pipeline.py"
    text = file.read_text(encoding="utf-8").replace('name="flight-delay"', f'name="{name}"')
    text = text.replace("FEATURES = {", f"FEATURES = {{\n    {_MORE}", 1)
    for topic in _TOPICS:
        text = text.replace(f'"{topic}"', f'"{topics}.{topic}"')
    file.write_text(text, encoding="utf-8")
    data = place / "data"
    deployment = connect(load(file), cluster.addresses, Settings(data_folder=data))
    return Demo(file, deployment, {**cluster.addresses.as_environment(), "RIVERRUN_DATA": str(data)})


@contextmanager
def running(demo: Demo, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on a demo meanwhile; it is drained at the end and must have ended well."""
    with (demo.file.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **demo.environment}, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        code = process.wait(_PATIENCE_S)
    assert code == 0, (demo.file.parent / "log").read_text(encoding="utf-8", errors="replace")[-2_000:]


def fold(demo: Demo, command: Sequence[str]) -> int:
    """Run the command until everything published is folded; return the most that it had in memory, in bytes."""
    began, ends, still, most = time.monotonic(), [-1], 0, 0
    with running(demo, command) as process:
        status = Path(f"/proc/{process.pid}/status")
        # Done is when nothing more is written: how many events are good, only the pipeline itself can tell.
        while still < 15:
            assert process.poll() is None, "the process has ended"
            assert time.monotonic() - began < _PATIENCE_S
            # How far it has come is seen from outside, in topics: nothing tells when they will have grown.
            time.sleep(_LOOK_S)
            found = [demo.records(kind) for kind in (Kind.EVENTS, Kind.PREDICTIONS, Kind.EXAMPLES, Kind.PROGRESS)]
            still = still + 1 if found == ends and found[0] > 0 else 0
            ends = found
            if status.exists():
                lines = status.read_text(encoding="ascii", errors="replace").splitlines()
                most = max(most, *(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
    return most


def on_disk(demo: Demo) -> int:
    """Return how many entities a demo that has ended had put on disk."""
    (folder,) = (demo.file.parent / "data" / "state").glob("*/features/0")
    store, _ = open_slot(folder)
    try:
        return sum(1 for _ in store.scan(b"e"))
    finally:
        store.close()


def quality(demo: Demo) -> dict[str, float]:
    """Return each model's AUC over what was labelled."""
    reader = OutcomeReader(demo.deployment, ())
    while not reader.at_end:
        reader.read(_LOOK_S)
    outcomes = reader.outcomes()
    reader.close()
    return {name: auc(outcomes.labels, scores) for name, scores in outcomes.scores.items()}


@pytest.mark.timeout(600)
def test_the_demo_runs_in_256_mb(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """Under the kernel's limit it folds all events, predicts as well as with all the memory, and passes `verify`."""
    topics = f"capped{uuid4().hex[:8]}"
    free, tight = (demo(f"{topics}-{name}", topics, cluster, tmp_path) for name in ("free", "tight"))
    codecs = free.deployment.wire.codecs
    ids = {stream.topic.partition(".")[2]: codecs.stream_id(stream.name) for stream in codecs.streams}
    producer = kafka_producer(dict(cluster.addresses.kafka))
    for message in flight_messages(ids, SEED, EVENTS):
        producer.produce(f"{topics}.{message.topic}", message.value, message.key)
    assert producer.flush(60) == 0
    fold(free, [*_RIVERRUN, "run", str(free.file), "--all"])
    with memory_limit(LIMIT) as limit:
        command = [*_RIVERRUN, "run", str(tight.file), "--all", "--memory", "256MB"]
        most = fold(tight, limit.command(command))
        assert limit.failures() <= 0
    assert 0 < most < LIMIT, f"{most >> 20} MiB under {limit.kind}"
    assert on_disk(tight) > 100
    wanted, found = free.predictions(), tight.predictions()
    assert len(found) == len(wanted) > EVENTS // 5
    # More than was asked for: not only is the AUC within 0.005, every score is the same to the last bit.
    assert [each.scores for each in found] == [each.scores for each in wanted]
    qualities = quality(free), quality(tight)
    assert all(abs(qualities[0][name] - qualities[1][name]) <= 0.005 for name in qualities[0])
    verified = subprocess.run(
        [*_RIVERRUN, "verify", str(tight.file), "--json"],
        env={**os.environ, **tight.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout[-2_000:]
    assert json.loads(verified.stdout)["verified"] is True
    for each in (free, tight):
        each.deployment.log.close()
