"""Everything of a pipeline that strangers meet, running: its stages, its alerts and its gateway; and whether all works.

Afterwards it is not enough that nobody has died: every stage must have folded what is there, a good event must become
a prediction on each partition, and the alerts must still be told and take commands.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, Final
from uuid import uuid4

from hostile.prey import PARTITIONS, Prey, events_of
from hostile.talk import ask, status_of
from hostile.victim import Victim
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.api_keys import KeyFile, Scope, key_file_path
from riverrun.embedded.ports import choose_ports
from riverrun.launch.survey import StageStatus, survey
from riverrun.records.items import Alert, Item, Prediction
from riverrun.records.murmur2 import partition_of
from riverrun.records.topics import SINGLE_PARTITION, Kind
from riverrun.runtime.stage import StageDefinition
from services.catalogue import STAGES

__all__ = ["Scene"]

_START_S: Final = 120.0
_LOOK_S: Final = 0.25
_PATIENCE_S: Final = 60.0
"""So long nothing may move before something counts as stopped."""

_POLL: Final = 500
_CLI: Final = ("-c", "from riverrun.cli import main; main()")


class Scene:
    """The processes of a pipeline under attack.

    Parameters
    ----------
    prey
        The pipeline.
    logs
        Folder for their output.

    Attributes
    ----------
    victims
        The processes by name.
    health
        The port of each one's health endpoint.
    port
        The gateway's.
    key
        An API key that may do everything.
    stopped
        What had stopped working when it was looked at.
    """

    def __init__(self, prey: Prey, logs: Path) -> None:
        self.prey = prey
        self.deployment = prey.connect()
        self.stopped: list[str] = []
        self.port, *health = choose_ports(4)
        self.health = dict(zip(("stages", "alerts", "gateway"), health, strict=True))
        keys = KeyFile(key_file_path(Path(prey.environment["RIVERRUN_DATA"])))
        self.key = keys.make("hostile", list(Scope), now=time.time_ns() // 1_000_000, expires=0)
        plenty = {f"RIVERRUN_GATEWAY_{name}": "1000000" for name in ("RATE", "BURST", "GUESSES")}
        gateway = {**plenty, "RIVERRUN_GATEWAY_PORT": str(self.port), "RIVERRUN_GATEWAY_BODY_TIMEOUT_S": "1"}
        file = str(prey.file)
        self.victims = {
            "stages": self._victim("stages", [*_CLI, "run", file, "--all"], logs, {}),
            # It may end in the middle of what Faust does then; the next start recovers.
            "alerts": self._victim("alerts", ["-m", "services.alerts", file], logs, {}, os.EX_TEMPFAIL),
            "gateway": self._victim("gateway", ["-m", "services.gateway", file], logs, gateway),
        }

    def _victim(self, name: str, arguments: list[str], logs: Path, own: dict[str, str], *ends: int) -> Victim:
        own = {**self.prey.environment, **own, "RIVERRUN_HEALTH_PORT": str(self.health[name])}
        return Victim([sys.executable, *arguments], own, logs / f"{name}.log", (0, -signal.SIGTERM, *ends))

    def start(self, *names: str) -> None:
        """Start processes, and wait until each is up.

        Raises
        ------
        RuntimeError
            If one does not come up.
        """
        for name in names:
            self.victims[name].start()
        deadline, pause = time.monotonic() + _START_S, Event()
        for name in names:
            port = self.port if name == "gateway" else self.health[name]
            while status_of(ask(port, "GET", "/health/live")) != 200:
                if time.monotonic() > deadline or self.victims[name].crashes:
                    raise RuntimeError(f"{name}: it does not come up")
                self.look()
                pause.wait(_LOOK_S)

    def look(self) -> None:
        """Note the processes' memory, and start again what has ended."""
        for victim in self.victims.values():
            victim.look()

    def stop(self) -> None:
        """End the processes, the gateway first."""
        for victim in reversed(self.victims.values()):
            victim.stop()

    def close(self) -> None:
        """End the processes, and let go of the servers."""
        self.stop()
        self.deployment.log.close()

    @property
    def crashes(self) -> int:
        """How often a process ended by itself."""
        return sum(victim.crashes for victim in self.victims.values())

    @property
    def peak_rss_mb(self) -> dict[str, float]:
        """The most memory that each process had, in MiB."""
        return {name: victim.peak_rss_mb for name, victim in self.victims.items()}

    def items(self, kind: Kind) -> Iterator[Item]:
        """Return what one of the pipeline's topics holds, a few at a time."""
        log, topology = self.deployment.log, self.deployment.topology
        topic = topology.names[kind]
        for partition in range(1 if kind in SINGLE_PARTITION else topology.partitions):
            reader = log.reader(topic, partition, 0)
            try:
                while not reader.at_end:
                    yield from (self.deployment.wire.item(record) for record in reader.poll(_POLL, 1.0))
            finally:
                reader.close()

    def expect(self, holds: Callable[[], bool], what: str) -> bool:
        """Wait until something holds, as long as the stages get on; note it as stopped if it does not."""
        pause, before, deadline = Event(), -1, time.monotonic() + _PATIENCE_S
        while not holds():
            folded = sum(stage.folded for stage in self.stages())
            if folded > before:
                before, deadline = folded, time.monotonic() + _PATIENCE_S
            elif time.monotonic() > deadline:
                self.stopped.append(what)
                return False
            self.look()
            pause.wait(_LOOK_S)
        return True

    def settle(self, messages: int) -> None:
        """Wait until ``ingest`` has folded so many messages in all, and every stage all that came of them."""
        self.expect(lambda: self.folded() >= messages, f"ingest has not folded all of {messages} messages")
        behind: list[str] = []

        def caught_up() -> bool:
            behind[:] = self._behind()
            return not behind

        if not self.expect(caught_up, "stages"):
            self.stopped[-1:] = behind

    def folded(self) -> int:
        """Return how many messages ``ingest`` has folded."""
        return sum(stage.folded for stage in self.stages() if stage.stage == "ingest")

    def stages(self) -> list[StageStatus]:
        """Return how every stage stands, by its last commit."""
        return survey(self.deployment).stages

    def _behind(self) -> list[str]:
        """Return the partitions' stages that have something left to fold, or have never said that they folded it."""
        wanted = {
            (stage.name, partition)
            for stage in STAGES.values()
            if stage.wanted(self.prey.pipeline)
            for partition in range(1 if stage.sharded else PARTITIONS)
            if any(self.deployment.log.tail(topic, partition, 1) for topic in self._inputs(stage, partition))
        }
        done = {(each.stage, each.partition) for each in self.stages() if each.lag == 0}
        return [f"{stage}[{partition}] is behind" for stage, partition in sorted(wanted - done)]

    def _inputs(self, stage: StageDefinition, partition: int) -> list[str]:
        """Return the topics of which a stage reads a partition."""
        topology = self.deployment.topology
        found = stage.inputs(self.prey.pipeline)
        return [topic for topic in found if topology.place(topic, partition) == partition]

    def prove(self) -> None:
        """Publish good events: on each partition they must become predictions, and their duplicates an alert."""
        events = [self._good(partition) for partition in range(PARTITIONS)]
        wanted = {event["event_id"] for _, event in events}
        before = self.folded()
        self._publish(events)

        def predicted() -> bool:
            found = {item.id for item in self.items(Kind.PREDICTIONS) if isinstance(item, Prediction)}
            return wanted <= found

        self.expect(predicted, "a good event is not predicted on")
        told = len(self.alerts())
        self._publish(events)
        self.expect(lambda: len(self.alerts()) > told, "no alert is told of duplicates")
        self.settle(before + 2 * len(events))

    def alerts(self) -> list[Alert]:
        """Return the alerts of duplicates that were told, oldest first."""
        found = [item for item in self.items(Kind.ALERTS) if isinstance(item, Alert)]
        return [alert for alert in found if alert.rule == "duplicates"]

    def prove_commands(self) -> None:
        """Acknowledge the newest alert by the gateway: the alerts service must say that it was."""
        newest = [alert for alert in self.alerts() if alert.status == "raised"][-1]
        path = f"/v1/pipelines/{self.prey.pipeline.name}/alerts/{newest.id}/acknowledge"
        answer = ask(self.port, "POST", path, self.key, b'{"note": "seen"}')
        if status_of(answer) != 202:
            self.stopped.append(f"an acknowledgement is answered {answer[:200]!r}")
            return

        def acknowledged() -> bool:
            return any(alert.status == "acknowledged" and alert.incident == newest.incident for alert in self.alerts())

        self.expect(acknowledged, "the alerts take no commands")

    def _good(self, partition: int) -> tuple[str, dict[str, Any]]:
        """Return an event to be predicted on, whose key belongs to a partition."""
        topic, event = next(pair for pair in events_of(self.prey) if pair[0].endswith(".shipped"))
        key = next(key for key in iter(lambda: uuid4().hex, "") if partition_of(key.encode(), PARTITIONS) == partition)
        return topic, {**event, "event_id": f"good-{key}", "parcel_id": key}

    def _publish(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        producer = kafka_producer(dict(self.prey.addresses.kafka))
        for topic, event in events:
            producer.produce(topic, json.dumps(event).encode(), event["parcel_id"].encode())
        if producer.flush(_START_S):
            raise RuntimeError("Kafka does not take good events")
