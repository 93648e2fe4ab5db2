"""The demo's alerts: the service runs over what the year left, and a receiver on this machine gets what it tells.

The receiver is subscribed by a command, as people's would be, and takes nothing whose signature it cannot verify.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from examples.flights.children import Child, wait_for
from riverrun.adapters.kafka_bookmark import KafkaBookmark
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.delivery.signing import SignatureError, Signer
from riverrun.embedded import Addresses
from riverrun.errors import RiverrunError
from riverrun.records.items import Alert, AlertCommand
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from services.alerts.app import application_id
from services.alerts.channels import SECRETS
from services.alerts.outbox import bookmark_group
from services.alerts.prompt_start import visible_end
from services.alerts.signals import read_mark

_NAME: Final = "demo"
_SETTING: Final = "DEMO"
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Told:
    """What the alerts service told.

    ``alerts`` is its topic; ``delivered`` the ids that the receiver took, in order; ``refused`` how many requests had
    no valid signature.
    """

    alerts: tuple[Alert, ...] = ()
    delivered: tuple[str, ...] = ()
    refused: int = 0


@dataclass(slots=True)
class _Inbox:
    signer: Signer
    ids: list[str] = field(default_factory=list)
    refused: int = 0

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Take a request; return the status to answer with."""
        try:
            identity = self.signer.verify(headers, body, int(time.time()))
        except SignatureError:
            self.refused += 1
            return 401
        # Deliveries are at least once: the id tells what came before.
        if identity not in self.ids and json.loads(body)["data"]["id"] == identity:
            self.ids.append(identity)
        return 204


@contextmanager
def _receiver(inbox: _Inbox) -> Iterator[int]:
    """Run the receiver; the port is what is yielded."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("content-length", "0")), _MOST_BYTES)
            body = self.rfile.read(length)
            self.send_response(inbox.take({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            del code, size

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="demo-receiver", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class AlertsRun:
    """The alerts service at work on the demo's pipeline."""

    def __init__(self, deployment: Deployment, addresses: Addresses, child: Child, inbox: _Inbox) -> None:
        self._deployment = deployment
        self._properties = dict(addresses.kafka)
        self._names = deployment.topology.names
        self._child = child
        self._inbox = inbox

    def finish(self) -> Told:
        """Wait until everything is folded and delivered; return what was told.

        Raises
        ------
        RiverrunError
            If the service ends, or makes no progress.
        """
        name = self._deployment.pipeline.name
        mark = self._wait_for(self._mark)
        self._wait_for(lambda: self._offset(application_id(name), Kind.ALERT_SIGNALS) >= mark or None)
        alerts = self._alerts()
        if alerts:
            end = self._end(Kind.ALERTS)
            self._wait_for(lambda: self._offset(bookmark_group(name, _NAME), Kind.ALERTS) >= end or None)
        return Told(tuple(alerts), tuple(self._inbox.ids), self._inbox.refused)

    def _mark(self) -> int | None:
        """Return the offset of a mark behind which nothing is to be copied; None if there is none yet."""
        last = self._deployment.log.tail(self._names[Kind.ALERT_SIGNALS], 0, 1)
        mark = read_mark(last[0]) if last else None
        if mark is None:
            return None
        behind = [
            kind
            for kind in (Kind.ALERT_COMMANDS, Kind.DRIFT, Kind.EVALUATIONS, Kind.MODELS, Kind.PROGRESS)
            if mark.positions.get(f"{self._names[kind]}/0", 0) < self._end(kind)
        ]
        return None if behind else last[0].offset

    def _end(self, kind: Kind) -> int:
        return visible_end(self._deployment.log, self._names[kind], 0)

    def _offset(self, group: str, kind: Kind) -> int:
        bookmark = KafkaBookmark(self._properties, group, self._names[kind], 0)
        try:
            return bookmark.load()
        finally:
            bookmark.close()

    def _alerts(self) -> list[Alert]:
        wire = self._deployment.wire
        records = self._deployment.log.tail(self._names[Kind.ALERTS], 0, 1 << 40)
        return [item for record in records if isinstance(item := wire.item(record), Alert)]

    def _wait_for(self, look: Callable[[], int | None]) -> int:
        return wait_for(look, self._child, what="the alerts service", see="alerts.log in the demo's folder")


@contextmanager
def running_alerts(
    deployment: Deployment, addresses: Addresses, file: Path, environment: Mapping[str, str], log: Path
) -> Iterator[AlertsRun]:
    """Run the alerts service of a pipeline file, with a receiver that is subscribed to everything."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    inbox = _Inbox(Signer.of(secret))
    with _receiver(inbox) as port:
        _subscribe(deployment, addresses, f"http://127.0.0.1:{port}/alerts")
        settings = {f"{SECRETS}{_SETTING}": secret, "RIVERRUN_WEBHOOK_ALLOW": f"127.0.0.1:{port}"}
        command = [sys.executable, "-m", "services.alerts", str(file)]
        with Child("alerts service", command, {**environment, **settings}, log) as child:
            yield AlertsRun(deployment, addresses, child, inbox)


def _subscribe(deployment: Deployment, addresses: Addresses, url: str) -> None:
    command = AlertCommand(
        id=secrets.token_hex(16),
        action="subscribe",
        time=int(time.time() * 1000),
        author="the demo",
        subscription=_NAME,
        channel="webhook",
        url=url,
        secret=_SETTING,
    )
    key, value, headers = deployment.wire.to_wire(command, 0)
    producer = kafka_producer(dict(addresses.kafka))
    producer.produce(deployment.topology.names[Kind.ALERT_COMMANDS], value, key, 0, headers=[*headers])
    if producer.flush(30.0):
        raise RiverrunError("Kafka did not take the demo's subscription")
