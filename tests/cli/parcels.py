"""The pipeline that ``riverrun init`` writes, on real servers, with its events and some that are wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.embedded import Addresses
from riverrun.pipeline.template import write_new
from riverrun.runtime.ports import TopicSpec
from tests.cli.commands import run

NAME = "cli-parcels"
SHIPPED, DELIVERED = "cli.shipped", "cli.delivered"
PROGRAM = str(Path(sys.executable).with_name("riverrun"))
"""The command as it was installed."""
PATIENCE_S = 60.0
_PAUSE_S = 0.2
_EVERYTHING = 1 << 40

TOO_FAR: dict[str, Any] = {
    "event_id": "s900",
    "parcel_id": "p900",
    "shipped_at": 1_735_689_600_000 + 64 * 3_600_000,  # when the others end
    "carrier": "swift",
    "distance": 30_000.0,
    "weight": 1.0,
}
"""An event that breaks a rule of the template: 30,000 km are too far."""


class Bad(NamedTuple):
    """A message that must become a dead letter for a reason."""

    key: bytes | None
    value: bytes
    reason: str


BAD = (
    Bad(b"p900", json.dumps(TOO_FAR).encode(), "rule"),
    Bad(None, b'{"event_id": "s901", "note": "[/red] \\u001b[2J', "not_json"),
    Bad(b"p902", json.dumps(TOO_FAR | {"event_id": "s902", "carrier": 7}).encode(), "wrong_type"),
    Bad(b"p903", b"\x00\x00\x00", "truncated"),
)
HEADERS: list[tuple[str, str | bytes | None]] = [("trace", b"t-1"), ("trace", b"t-2"), ("none", None)]


class Parcels:
    """The pipeline's file, its settings, and what runs it.

    Parameters
    ----------
    folder
        Where everything lies.
    addresses
        The servers.
    """

    def __init__(self, folder: Path, addresses: Addresses) -> None:
        self.file, *_ = write_new(NAME, folder)
        # Topics of these tests' own: others may run the template on the same broker.
        text = self.file.read_text(encoding="utf-8").replace('"parcels.', '"cli.')
        self.file.write_text(text, encoding="utf-8")
        self.environment = {**addresses.as_environment(), "RIVERRUN_DATA": str(folder / "data")}
        self.log = KafkaLog(dict(addresses.kafka))
        self._producer = kafka_producer(dict(addresses.kafka))
        lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
        self._events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self.good = sum(line["topic"] == "parcels.shipped" for line in self._events)
        self.accepted = len(self._events)
        self.messages = self.accepted + 1 + len(BAD)

    def publish(self) -> None:
        """Create the topics; publish the events, one of them twice, and the bad messages."""
        self.log.ensure_topics([TopicSpec(SHIPPED, 1), TopicSpec(DELIVERED, 1)])
        # The repeated one at once: much later it would be beyond the horizon.
        for line in [self._events[0], *self._events]:
            topic, event = str(line["topic"]).replace("parcels.", "cli."), line["event"]
            self._producer.produce(topic, json.dumps(event).encode(), str(event["parcel_id"]).encode())
        for bad in BAD:
            self._producer.produce(SHIPPED, bad.value, bad.key, headers=HEADERS)
        assert self._producer.flush(30) == 0

    def predictions(self) -> list[bytes | None]:
        """Return the keys of all predictions that are committed."""
        return [record.key for record in self.log.tail(f"{NAME}.predictions", 0, _EVERYTHING)]

    def ingested(self) -> int:
        """Return how many messages were folded by now, as ``status`` tells it; 0 while it cannot tell."""
        ran = run("status", self.file, "--interval", "0", "--json", environment=self.environment)
        return sum(each["folded"] for each in ran.document.get("stages", ()) if each["stage"] == "ingest")

    def run_until_ingested(self, count: int, *arguments: str) -> None:
        """Run the stages in a process until so many messages are folded; then it must drain and end well."""
        command = [PROGRAM, "run", str(self.file), *arguments]
        with subprocess.Popen(command, env=os.environ | self.environment, stderr=subprocess.PIPE) as process:
            try:
                deadline, pause = time.monotonic() + PATIENCE_S, Event()
                while process.poll() is None and self.ingested() < count and time.monotonic() < deadline:
                    pause.wait(_PAUSE_S)
            finally:
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=30)
        # 75 would say that it did not drain within its limit, which is below 5 s.
        if process.returncode != 0 or self.ingested() != count:
            raise AssertionError(f"exit code {process.returncode}, {self.ingested()} of {count}: {errors.decode()}")

    def close(self) -> None:
        """Close the connections."""
        self.log.close()
