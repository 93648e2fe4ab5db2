"""Watches while the run goes on: no prediction comes twice or out of turn, and Redis never goes back."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

import redis

from chaos.findings import Finding, Sort
from chaos.reading import Tail
from riverrun.records.headers import parse
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

__all__ = ["PredictionsWatcher", "RedisWatcher", "Witness"]

_EVERY_S: Final = 0.1
_REDIS_EVERY: Final = 3
_POSITION: Final = struct.Struct(">Q")


class PredictionsWatcher:
    """Reads ``predictions`` as a consumer would who acts on each: what it has once seen cannot be taken back.

    Parameters
    ----------
    deployment, kafka
        The pipeline, and where.
    """

    def __init__(self, deployment: Deployment, kafka: Mapping[str, str]) -> None:
        self._deployment = deployment
        topic = deployment.topology.names[Kind.PREDICTIONS]
        self._tails = [Tail(kafka, topic, number) for number in range(deployment.topology.partitions)]
        self._seen: set[str] = set()
        self._last: dict[int, int] = {}
        self.count = 0

    def look(self) -> list[Finding]:
        """Take in what has come; return what is wrong with it."""
        findings = []
        for partition, tail in enumerate(self._tails):
            for record in tail.poll():
                self.count += 1
                source = parse(record.headers).source
                name = (record.key or b"").decode("utf-8", "replace") + f"@{source.partition}/{source.position}"
                if name in self._seen:
                    findings.append(Finding(Sort.DOUBLED, f"a consumer saw prediction {name} twice", record.timestamp))
                elif source.position <= self._last.get(partition, -1):
                    text = f"a consumer saw prediction {name} after {self._last[partition]}"
                    findings.append(Finding(Sort.REORDERED, text, record.timestamp))
                self._seen.add(name)
                self._last[partition] = max(source.position, self._last.get(partition, -1))
        return findings

    def close(self) -> None:
        """Stop."""
        for tail in self._tails:
            tail.close()


class RedisWatcher:
    """Reads the partials in Redis again and again: none may go back to an older position.

    Parameters
    ----------
    url, pipeline
        Whose.
    """

    def __init__(self, url: str, pipeline: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0, protocol=2)
        self._pattern = f"riverrun:{{{pipeline}:*}}:g:*"
        self._last: dict[tuple[bytes, bytes], int] = {}
        self._looking = threading.Lock()
        self.looks = 0

    @contextmanager
    def blindfolded(self) -> Iterator[None]:
        """Look away while Redis is made to lose something, and expect anything afterwards."""
        with self._looking:
            yield
            self._last.clear()

    def look(self) -> list[Finding]:
        """Read everything, if Redis answers; return what went back."""
        with self._looking:
            return self._compare()

    def _compare(self) -> list[Finding]:
        try:
            groups: dict[bytes, dict[bytes, bytes]] = {
                key: cast("dict[bytes, bytes]", self._client.hgetall(key))
                for key in self._client.scan_iter(self._pattern)
            }
        except redis.RedisError:
            return []
        self.looks += 1
        findings = []
        for key, entries in groups.items():
            for entity, stored in entries.items():
                (position,) = _POSITION.unpack_from(stored)
                before = self._last.get((key, entity), 0)
                if position < before:
                    text = f"{key.decode()} {entity!r} went back from {before} to {position} in Redis"
                    findings.append(Finding(Sort.WRONG, text, int(time.time() * 1000)))
                self._last[key, entity] = position
        return findings

    def close(self) -> None:
        """Stop."""
        self._client.close()


class Witness:
    """Has the watchers look, in a thread of its own.

    Attributes
    ----------
    findings
        What they saw.
    """

    def __init__(self, predictions: PredictionsWatcher, partials: RedisWatcher) -> None:
        self.findings: list[Finding] = []
        self.predictions = predictions
        self.partials = partials
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        rounds = 0
        while not self._ended.wait(_EVERY_S):
            rounds += 1
            try:
                self.findings += self.predictions.look()
                if rounds % _REDIS_EVERY == 0:
                    self.findings += self.partials.look()
            except (ValueError, LookupError, struct.error, RuntimeError) as error:
                # A watcher that has stopped watching must not pass for one that saw nothing.
                self.findings.append(Finding(Sort.WRONG, f"the witness cannot go on: {error!r}"))
                return

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()
        self.predictions.close()
        self.partials.close()
