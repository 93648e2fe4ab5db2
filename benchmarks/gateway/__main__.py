"""``python -m benchmarks.gateway``: latency at 500 requests/s, and requests/s at saturation; to build/gateway.json."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

import redis

from benchmarks.gateway.load import Load
from benchmarks.gateway.pipeline import logistic_regression
from benchmarks.gateway.verdict import Rounds, summary
from benchmarks.service import processor_s
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.api_keys import KeyFile, Scope, key_file_path
from riverrun.embedded import EmbeddedCluster, read_external_servers
from riverrun.embedded.kafka_server import KafkaSettings
from riverrun.launch.chains import cut_chains
from riverrun.launch.connect import connect
from riverrun.launch.process import WorkerThread
from riverrun.pipeline import load
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.settings import Settings
from riverrun.runtime.worker import Worker
from services.catalogue import STAGES

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[1]
_PREDICT: Final = "/v1/pipelines/gateway-bench/predict"
_RATE: Final = 500.0
_EVENTS: Final = 4_000
_WARM_UP_S: Final = 2.0
_BROKER_WARM_UP_S: Final = 60.0
"""Twice: flat out, and at the rate."""
_PATIENCE_S: Final = 120.0


def main() -> int:
    """Measure both, one beside the other, and write the figures; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each measure takes")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--out", type=Path, default=_ROOT / "build" / "gateway.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = _measure(Path(name), options.seconds, options.rounds)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))
    return 0 if figures["met"] else 1


def _measure(folder: Path, seconds: float, rounds: int) -> dict[str, object]:
    # Java's optimizing compiler is on, as in production: an answer waits for the broker's. The heap is the small one.
    kafka, external = KafkaSettings(optimizing=True), read_external_servers(os.environ)
    with EmbeddedCluster(folder / "cluster", kafka=kafka, external=external) as cluster:
        environment = {**os.environ, **cluster.addresses.as_environment(), "RIVERRUN_DATA": str(folder / "data")}
        _prepare(folder, cluster)
        key = KeyFile(key_file_path(folder / "data")).make("benchmark", [Scope.PREDICT], now=1)
        environment |= {"RIVERRUN_GATEWAY_RATE": "1000000", "RIVERRUN_GATEWAY_BURST": "1000000"}
        environment |= {"BARE_REDIS": cluster.addresses.redis_url, "BARE_MODEL": str(folder / "model.pickle")}
        sides: dict[str, Rounds] = {side: {"at_rate": [], "saturated": []} for side in ("gateway", "bare")}
        versions = []
        with _gateway(environment) as server:
            # Not counted: for its first minute the broker's compiler is at work, and takes the processors.
            _both({"at_rate": [], "saturated": []}, server, _PREDICT, key, _BROKER_WARM_UP_S)
        for _ in range(rounds):
            with _gateway(environment) as server:
                versions.append(served_version(server.port, key))
                _both(sides["gateway"], server, _PREDICT, key, seconds)
            with _bare(environment) as server:
                _both(sides["bare"], server, "/predict", key, seconds)
    return {**summary(sides), "rate": _RATE, "versions": versions, "rounds": sides}


def served_version(port: int, key: str) -> int:
    """Return the version of the model that the gateway serves.

    Raises
    ------
    RuntimeError
        If it has learned nothing: to answer by it costs less than an answer does.
    """
    event = {"user": "u1", "shop": "s1", "amount": 1.0, "items": 2.0, "discount": 0.1, "distance": 3.0}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}{_PREDICT}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode(), headers), timeout=10) as answer:
        version = int(json.load(answer)["version"])
    if version <= 0:
        raise RuntimeError("the model that the gateway serves has learned nothing")
    return version


class _Server(NamedTuple):
    """A server in a process of its own."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the processor time that it has used, in seconds."""
        return processor_s(self.pid)


def _both(found: Rounds, server: _Server, path: str, key: str, seconds: float) -> None:
    # Flat out first: it also warms up server, broker and connections, as a service that has run for a while is.
    for name, rate in (("saturated", 0.0), ("at_rate", _RATE)):
        before = server.cpu_s()
        outcome = _load(Load(server.port, path, key, rate, seconds, _WARM_UP_S))
        # Of all requests, those of the warm-up too: about right, and not disturbed by what else the machine does.
        sent = outcome["per_s"] * (seconds + _WARM_UP_S)
        found[name].append({**outcome, "cpu_us": round((server.cpu_s() - before) / max(sent, 1.0) * 1e6, 1)})


def _load(what: Load) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.gateway.load"]
    done = subprocess.run(
        command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True, input=json.dumps(asdict(what))
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _prepare(folder: Path, cluster: EmbeddedCluster) -> None:
    """Run the pipeline over some events, so that there are features and a model; the same for the bare side."""
    settings = Settings(data_folder=folder / "data")
    deployment = connect(load(_HERE / "pipeline.py"), cluster.addresses, settings)
    producer = kafka_producer(dict(cluster.addresses.kafka))
    rng, model = random.Random(2), logistic_regression()
    client = redis.Redis.from_url(cluster.addresses.redis_url)
    now = time.time_ns() // 1_000_000
    for number in range(_EVENTS):
        user, at = f"u{rng.randrange(500)}", now - (_EVENTS - number) * 100
        event = {"id": f"b{number}", "user": user, "shop": f"s{rng.randrange(50)}", "at": at}
        numbers = {"amount": rng.uniform(1, 200), "items": 2.0, "discount": rng.random(), "distance": 5.0}
        producer.produce("gateway-bench.bought", json.dumps(event | numbers).encode(), user.encode())
        late = event | {"id": f"r{number}", "at": at + 50, "share": rng.random()}
        producer.produce("gateway-bench.returned", json.dumps(late).encode(), user.encode())
    producer.flush(30)
    _run_stages(Worker(deployment, cut_chains(list(STAGES.values()), deployment.topology.partitions)), deployment)
    features: dict[str, float] = {f"user_{n}": 1.5 for n in ("amount_1h", "count_1h", "max_1d", "last_1d")}
    shop = {f"shop_{n}": 1.5 for n in ("amount_1h", "count_1h", "amount_1d", "max_1d")}
    for number in range(500):
        for name, values in (("user:u", features), ("shop:s", shop)):
            client.hset(f"bare:{name}{number}", items=[each for pair in values.items() for each in pair])
    x = {"amount": 1.0, "items": 2.0, "discount": 0.1, "distance": 3.0, **features, **shop}
    for number in range(100):
        model.learn_one(x, number % 3 == 0)
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    client.close()
    deployment.log.close()


def _run_stages(worker: Worker, deployment: Deployment) -> None:
    thread = WorkerThread(worker)
    thread.start()
    topic = deployment.topology.names[Kind.PREDICTIONS]
    deadline = time.monotonic() + _PATIENCE_S
    while len(deployment.log.tail(topic, 0, _EVENTS)) < _EVENTS:
        if time.monotonic() > deadline:
            raise RuntimeError("the stages did not predict on all events")
        time.sleep(0.5)  # they run in another thread and cannot wake us
    thread.stop(60)


@contextlib.contextmanager
def _gateway(environment: Mapping[str, str]) -> Iterator[_Server]:
    port = _free_port()
    command = [sys.executable, "-m", "services.gateway", str(_HERE / "pipeline.py")]
    with _serving(command, {**environment, "RIVERRUN_GATEWAY_PORT": str(port)}, port, "/health/ready") as server:
        yield server


@contextlib.contextmanager
def _bare(environment: Mapping[str, str]) -> Iterator[_Server]:
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.gateway.bare:APP", "--port", str(port), "--no-access-log"]
    with _serving([*command, "--loop", "uvloop", "--http", "httptools"], environment, port, "/openapi.json") as server:
        yield server


@contextlib.contextmanager
def _serving(command: list[str], environment: Mapping[str, str], port: int, sign: str) -> Iterator[_Server]:
    with subprocess.Popen(command, cwd=_ROOT, env=dict(environment), stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while not _answers(f"http://127.0.0.1:{port}{sign}"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[2]} does not serve")
                time.sleep(0.2)  # it is another process and cannot wake us
            yield _Server(port, process.pid)
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
