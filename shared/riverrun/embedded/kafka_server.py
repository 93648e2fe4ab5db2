"""An Apache Kafka of our own: one KRaft node that is broker and controller, on the loopback interface."""

from __future__ import annotations

import base64
import socket
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from riverrun.embedded.client_properties import ClientProperties
from riverrun.embedded.jars import KAFKA_VERSION, kafka_jars
from riverrun.embedded.java import java_program
from riverrun.embedded.kafka_properties import properties_text, server_properties
from riverrun.embedded.kafka_url import kafka_client_properties
from riverrun.embedded.listener import Credentials, Tls, kafka_url, scram_record
from riverrun.embedded.ports import LOOPBACK
from riverrun.embedded.private_file import write_private_file
from riverrun.embedded.server import Server, announce_on_stderr
from riverrun.errors import UnavailableError

__all__ = ["EmbeddedKafka", "KafkaSettings"]

_METADATA_TIMEOUT_S = 2.0
_CONNECT_TIMEOUT_S = 0.5

# Measured on two cores: without the optimizing compiler Kafka is up in 2.7 s instead of 4.8 s and carries 2.4 times as
# many events a second in its first 20 s, for compiling takes the cores from everybody.
_QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
# What bin/kafka-run-class.sh of Kafka 4.2 sets. The serial collector stops every request for 20 to 60 ms.
_AS_IN_PRODUCTION = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How the embedded Kafka is set up.

    Attributes
    ----------
    heap_mb : int
        Largest Java heap, in MiB; where ``optimizing``, it has all of it from the start.
    die_with_parent : bool
        See `Server`.
    tls, credentials : optional
        What clients are asked for; nothing unless given.
    cluster_id : str
        Identity of a new data folder; random unless given. Brokers of one cluster share it.
    optimizing : bool
        Whether Java compiles hot code and collects garbage as Kafka's own start script has it do: for a broker that
        runs for many minutes. It starts no quicker, and takes processors from everybody at first.
    properties : Mapping of str to str
        Broker properties that win over ours.
    """

    heap_mb: int = 512
    optimizing: bool = False
    die_with_parent: bool = True
    tls: Tls | None = None
    credentials: Credentials | None = None
    cluster_id: str = ""
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)


class EmbeddedKafka(Server):
    """Kafka in a folder: start, stop, find again with nothing lost.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; made if missing.
    settings : KafkaSettings, optional
        How it is set up.
    announce : callable, optional
        Told in one line what takes time; standard error unless given.
    """

    name: ClassVar[str] = f"Kafka {KAFKA_VERSION}"
    port_count: ClassVar[int] = 2  # for clients; for the controller
    start_timeout_s: ClassVar[float] = 90.0
    stop_timeout_s: ClassVar[float] = 30.0

    def __init__(
        self,
        folder: Path,
        settings: KafkaSettings | None = None,
        *,
        announce: Callable[[str], None] = announce_on_stderr,
    ) -> None:
        self.settings = settings or KafkaSettings()
        super().__init__(folder, die_with_parent=self.settings.die_with_parent, announce=announce)

    @property
    def bootstrap(self) -> str:
        """``host:port`` of the running server."""
        return f"{LOOPBACK}:{self.ports[0]}"

    @property
    def url(self) -> str:
        """The address in the form of ``RIVERRUN_KAFKA``; holds the password if there is one."""
        return kafka_url(self.ports[0], self.settings.tls, self.settings.credentials)

    @property
    def client_properties(self) -> ClientProperties:
        """What a librdkafka client is made from."""
        return kafka_client_properties(self.url)

    @property
    def cluster_id(self) -> str:
        """The identity of the data folder, the same for ever; empty before the first start."""
        try:
            lines = (self._data / "meta.properties").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ""
        return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), "")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    def _prepare(self) -> None:
        if not self.cluster_id:
            self._format()
        self._write_configuration(self._configuration, self._data)

    def _write_configuration(self, path: Path, data: Path) -> None:
        tls = self.settings.tls
        if tls is not None:
            # Kafka reads key and certificate from one file.
            pem = tls.key.read_text(encoding="utf-8") + tls.certificate.read_text(encoding="utf-8")
            write_private_file(self.folder / "server.pem", pem)
        properties = server_properties((self.ports[0], self.ports[1]), data, tls, self.settings.credentials)
        if tls is not None:
            properties["ssl.keystore.location"] = str(self.folder / "server.pem")
        write_private_file(path, properties_text({**properties, **self.settings.properties}))

    def _format(self) -> None:
        """Make a new data folder; it gets its name only when complete."""
        scratch = self.folder / f"formatting-{uuid.uuid4().hex}"
        configuration = self.folder / "format.properties"
        self._write_configuration(configuration, scratch)
        command = [*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format"]
        command += ["--cluster-id", self.settings.cluster_id or _new_cluster_id(), "--config", str(configuration)]
        credentials = self.settings.credentials
        if credentials is not None and credentials.mechanism.startswith("SCRAM"):
            command += ["--add-scram", scram_record(credentials)]
        result = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        configuration.unlink()
        if result.returncode != 0 or not scratch.is_dir():
            lines = (result.stderr + result.stdout).strip().splitlines() or ["it said nothing"]
            raise UnavailableError(f"Kafka cannot prepare its data folder in {self.folder}: {lines[-1]}")
        scratch.rename(self._data)

    def _command(self) -> list[str]:
        heap_mb = self.settings.heap_mb
        # All of it from the start, where it is as in production: G1 sets aside a twentieth of it for what is new.
        least_mb = heap_mb if self.settings.optimizing else min(256, heap_mb)
        return [
            *self._java(f"-Xms{least_mb}m", f"-Xmx{heap_mb}m", "-XX:+ExitOnOutOfMemoryError"),
            "kafka.Kafka",
            str(self._configuration),
        ]

    def _java(self, *options: str) -> list[str]:
        jars = kafka_jars(self._announce)
        return [
            str(java_program()),
            *options,
            *(_AS_IN_PRODUCTION if self.settings.optimizing else _QUICK_START),
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-cp",
            f"{jars}/*",
        ]

    def _why_not_ready(self) -> str:
        try:
            socket.create_connection((LOOPBACK, self.ports[0]), _CONNECT_TIMEOUT_S).close()
        except OSError as error:
            return f"no connection to {self.bootstrap}: {error}"
        # Cheap to make, and a client that has once failed to connect would wait before it tries again.
        admin = AdminClient({**self.client_properties, "log_level": 0})
        try:
            metadata = admin.list_topics(timeout=_METADATA_TIMEOUT_S)
        except KafkaException as error:
            return f"no metadata from {self.bootstrap}: {error}"
        answering = str(metadata)  # its cluster id; the attribute is declared as None
        if answering != self.cluster_id:
            return f"another Kafka, {answering}, answers on {self.bootstrap}"
        return "" if metadata.brokers else "the broker is not registered yet"


def _new_cluster_id() -> str:
    # As Kafka makes them: 16 random bytes in URL-safe base64; a leading dash would read as an option.
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id
