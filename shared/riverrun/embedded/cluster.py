"""Kafka and Redis together: the servers that a run works with, embedded unless the settings name others."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from riverrun.embedded.addresses import Addresses, ExternalServers, read_external_servers
from riverrun.embedded.kafka_server import EmbeddedKafka, KafkaSettings
from riverrun.embedded.redis_server import EmbeddedRedis, RedisSettings
from riverrun.embedded.server import Server, announce_on_stderr

__all__ = ["EmbeddedCluster", "open_cluster"]


class EmbeddedCluster:
    """A Kafka and a Redis under one data folder, in ``kafka/`` and ``redis/``.

    Parameters
    ----------
    folder : Path
        The data folder; made if missing.
    kafka, redis : optional
        How the two are set up.
    external : ExternalServers, optional
        Servers that exist already: what is named here is not started.
    announce : callable, optional
        Told in one line what takes time; standard error unless given.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: KafkaSettings | None = None,
        redis: RedisSettings | None = None,
        external: ExternalServers | None = None,
        announce: Callable[[str], None] = announce_on_stderr,
    ) -> None:
        self.external = external or ExternalServers(kafka=None, redis_url=None)
        self.kafka = EmbeddedKafka(folder / "kafka", kafka, announce=announce)
        self.redis = EmbeddedRedis(folder / "redis", redis, announce=announce)

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers that riverrun runs itself, in the order of starting."""
        wanted = ((self.redis, self.external.redis_url), (self.kafka, self.external.kafka))
        return tuple(server for server, named in wanted if named is None)

    @property
    def addresses(self) -> Addresses:
        """Where the two are.

        Raises
        ------
        UnavailableError
            When the cluster was not started.
        """
        return Addresses(
            kafka=self.external.kafka or self.kafka.client_properties,
            redis_url=self.external.redis_url or self.redis.url,
            embedded=self.external.kafka is None,
        )

    def start(self) -> Self:
        """Start what is not running. See `Server.start`; if one fails, none is left behind."""
        with contextlib.ExitStack() as undo:
            for server in self.servers:
                undo.callback(server.stop)
                server.start()
            undo.pop_all()
        return self

    def find(self) -> bool:
        """Attach to the servers that run in this folder, starting none; tell whether all of them do."""
        found = [server.find() for server in self.servers]
        return all(found)

    def stop(self, *, shared: bool = False) -> None:
        """Stop what this object started, Kafka first. See `Server.stop`."""
        with contextlib.ExitStack() as stopping:
            for server in self.servers:
                stopping.callback(server.stop, shared=shared)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def open_cluster(folder: Path, environ: Mapping[str, str] = os.environ) -> EmbeddedCluster:
    """Return the cluster to work with: the servers that the settings name, embedded ones for the rest.

    Parameters
    ----------
    folder : Path
        Data folder for the embedded ones.
    environ : Mapping of str to str
        The settings; see `riverrun.embedded.addresses`.

    Returns
    -------
    EmbeddedCluster
        Not started yet: use it in a ``with`` statement.

    Raises
    ------
    SettingsError
        When the settings are malformed.

    Examples
    --------
    >>> settings = {"RIVERRUN_KAFKA": "kafka:9092", "RIVERRUN_REDIS": "redis://cache:6379/0"}
    >>> with open_cluster(Path("data"), settings) as cluster:
    ...     cluster.addresses.embedded
    False
    """
    return EmbeddedCluster(folder, external=read_external_servers(environ))
