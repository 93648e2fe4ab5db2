"""The small pipeline on real servers, its stages in one thread and its gateway in another."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uvicorn
import uvloop

from riverrun.adapters.kafka_log import kafka_producer
from riverrun.api_keys import KeyFile, Scope, key_file_path
from riverrun.embedded import Addresses
from riverrun.launch.chains import cut_chains
from riverrun.launch.connect import connect
from riverrun.launch.gateway import make_gate, make_parts
from riverrun.launch.process import WorkerThread
from riverrun.launch.session import Session
from riverrun.pipeline import load
from riverrun.records.headers import parse
from riverrun.records.items import Alert, Event, Item, Prediction, Source, Vector
from riverrun.records.topics import Kind
from riverrun.runtime.ports import Record
from riverrun.runtime.settings import Settings
from riverrun.runtime.worker import Worker
from services.catalogue import STAGES
from services.gateway.server import configure
from services.gateway.settings import GatewaySettings

NAME = "gw"
PREDICT = f"/v1/pipelines/{NAME}/predict"
PARTITIONS = 2
PATIENCE_S = 60.0
DECLARED = {"name": "declared", "channel": "webhook", "url": "https://declared.example.com/hook", "secret": "DECLARED"}
"""A route of the pipeline file, as it is listed: there its address has a password too."""

FILE = """from dataclasses import replace

from riverrun.pipeline.alerts import Route
from riverrun.testing.small_pipeline import make_pipeline

pipeline = replace(make_pipeline({name!r}, snapshot_every=10), alerts=[Route(**{declared})])
"""
_PAUSE_S = 0.05


class Reply(NamedTuple):
    """What a request was answered."""

    status: int
    document: Any
    headers: httpx.Headers


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        pause.wait(_PAUSE_S)


def made_alert(name: str, status: str = "raised", kind: str = "quality") -> Alert:
    """Return an alert of an incident, as the alerts service makes it."""
    return Alert(
        id=f"{name}-{status}",
        incident=name,
        status=status,
        rule=kind,
        kind=kind,
        severity="warning",
        subject="line",
        time=1_700_000_000_000,
        title="It got worse",
        source=Source("t", 0, 1),
        segment={"place": "x"},
        values={"value": 0.7, "nothing": float("nan")},
    )


class RunningGateway:
    """A gateway in a thread with an event loop of its own."""

    def __init__(self, session: Session, settings: Settings, gateway: GatewaySettings) -> None:
        self._servers: list[uvicorn.Server] = []
        self._made = (session, settings, gateway)
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), name="gateway", daemon=True)
        self._thread.start()
        until(lambda: not self._thread.is_alive() or self._is_listening(), "the gateway listens")
        self.port = int(self._servers[0].servers[0].sockets[0].getsockname()[1])

    def _is_listening(self) -> bool:
        return any(server.started for server in self._servers)

    async def _serve(self) -> None:
        session, settings, gateway = self._made
        gate = make_gate(make_parts(session, settings, gateway), settings)
        server = uvicorn.Server(configure(gate, gateway))
        self._servers.append(server)
        await server.serve()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop it as a signal would."""
        for server in self._servers:
            server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


class GatewayWorld:
    """Everything of one pipeline."""

    def __init__(self, folder: Path, addresses: Addresses, name: str = NAME) -> None:
        self.file = folder / "pipeline.py"
        declared = DECLARED | {"url": DECLARED["url"].replace("://", "://somebody:hidden@")}
        self.file.write_text(FILE.format(name=name, declared=declared), encoding="utf-8")
        self.settings = Settings(data_folder=folder / "data", state_interval_ms=50)
        self.addresses = addresses
        self.deployment = connect(load(self.file), addresses, self.settings, partitions=PARTITIONS)
        keys = KeyFile(key_file_path(self.settings.data_folder))
        self.key = keys.make("all", list(Scope), now=1)
        self.only = {scope: keys.make(scope, [scope], now=1) for scope in Scope}
        made = GatewaySettings(port=0, guesses=1_000_000, rate=1_000_000, burst=1_000_000)
        self.gateway = RunningGateway(Session(self.deployment, addresses), self.settings, made)
        self._client = httpx.Client(base_url=self.gateway.url, timeout=30.0, trust_env=False)
        self._producer = kafka_producer(dict(addresses.kafka))
        self._worker: WorkerThread | None = None

    def start_stages(self) -> None:
        """Run all stages."""
        if self._worker is None:
            chains = cut_chains(list(STAGES.values()), PARTITIONS)
            self._worker = WorkerThread(Worker(self.deployment, chains))
            self._worker.start()

    def stop_stages(self) -> None:
        """Drain them."""
        if self._worker is not None:
            assert self._worker.stop(PATIENCE_S)
            assert self._worker.exit_code == 0
            self._worker = None

    def ask(
        self, method: str, path: str, body: object = None, *, key: str | None = None, traceparent: str = ""
    ) -> Reply:
        """Send a request with a key, a trace context if one is given, and JSON if there is a body."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        if traceparent:
            headers["traceparent"] = traceparent
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        response = self._client.request(method, path, content=content, headers=headers)
        document = response.json() if "json" in response.headers.get("content-type", "") else response.text
        return Reply(response.status_code, document, response.headers)

    def raw(self, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> httpx.Response:
        """Send a request with these headers and no key of its own."""
        return self._client.request(method, path, headers=headers)

    def publish_raw(self, topic: str, key: bytes, value: bytes) -> None:
        """Publish a record as a producer does, past the gateway."""
        self._producer.produce(topic, value, key)
        assert self._producer.flush(30) == 0

    def raise_alert(self, name: str, status: str = "raised", kind: str = "quality") -> None:
        """Write an alert of an incident, as the alerts service does."""
        alert = made_alert(name, status, kind)
        topic = self.deployment.topology.names[Kind.ALERTS]
        self.publish_raw(topic, name.encode(), self.deployment.wire.codecs.encode(alert))

    @staticmethod
    def wait_for(look: Callable[[], Any], what: str) -> Any:
        """Wait until something is there, and return it."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [look()]
            return bool(found[0])

        until(there, what)
        return found[0]

    def records(self, topic: str) -> list[Record]:
        """Return what a topic holds, in all partitions."""
        log = self.deployment.log
        return [record for each in range(log.partitions(topic)) for record in log.tail(topic, each, 1 << 40)]

    def items(self, kind: Kind) -> list[Item]:
        """Return what one of the pipeline's topics holds, decoded."""
        return [self.deployment.wire.item(record) for record in self.records(self.deployment.topology.names[kind])]

    def sources(self, kind: Kind) -> dict[str, Source]:
        """Return where each item of a topic came from, by its id."""
        found = {}
        for record in self.records(self.deployment.topology.names[kind]):
            item = self.deployment.wire.item(record)
            assert isinstance(item, Event | Vector | Prediction)
            found[item.id] = parse(record.headers).source
        return found

    def close(self) -> None:
        """Stop everything."""
        self._client.close()
        self.gateway.close()
        self.stop_stages()
        self.deployment.log.close()


def asked(number: int, at: int, **fields: object) -> dict[str, object]:
    """Return an event to predict on."""
    return {"id": f"q{number}", "who": f"w{number}", "place": "xyz"[number % 3], "at": at, "size": 1.0} | fields


def answered(number: int, at: int, worth: float) -> dict[str, object]:
    """Return the event that brings its label."""
    return {"id": f"r{number}", "who": f"w{number}", "place": "xyz"[number % 3], "at": at, "worth": worth}
