"""The five stages on Faust, exactly once: ``python -m benchmarks.peers.faust_app STAGE``.

One partition, so that all events may share one key. State is what Faust offers: tables in memory with a changelog
topic; values are pickled, as Faust's own codec for them is JSON.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

import faust

from benchmarks.peers.job import Features, Job, Learning, Scoring, dead_letter, ingest, is_new, label

_KEY = b"all"


class _Table:
    """A Faust table as the job's store."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def get(self, name: str) -> Any:
        """Return what is stored."""
        value = self._table.get(name.encode())
        return None if value is None else pickle.loads(value)

    def put(self, name: str, value: Any) -> None:
        """Store a value."""
        self._table[name.encode()] = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)

    def delete(self, name: str) -> None:
        """Delete a value."""
        self._table.pop(name.encode(), None)


class Program:
    """One stage's application.

    Parameters
    ----------
    stage
        Which.
    job
        What to do.
    """

    def __init__(self, stage: str, job: Job) -> None:
        self._job = job
        self.app: Any = faust.App(
            f"{job.prefix}.{stage}",
            broker=f"aiokafka://{job.kafka}",
            store="memory://",
            processing_guarantee="exactly_once",
            topic_partitions=1,
            topic_replication_factor=1,
            topic_allow_declare=True,
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="earliest",
            web_enabled=False,
            datadir=str(job.folder / f"{job.prefix}.{stage}"),
        )
        getattr(self, f"_{stage}")()

    def _topic(self, name: str) -> Any:
        return self.app.topic(name, key_serializer="raw", value_serializer="raw", partitions=1)

    def _kind(self, kind: str) -> Any:
        return self._topic(self._job.topic(kind))

    def _store(self, name: str) -> _Table:
        return _Table(self.app.Table(name, partitions=1, key_type=bytes, value_type=bytes))

    def _ingest(self) -> None:
        job, seen = self._job, self._store("seen")
        events, dead = self._kind("events"), self._kind("dead-letters")
        for topic in job.sources:
            self._ingest_topic(topic, seen, events, dead)

    def _ingest_topic(self, topic: str, seen: _Table, events: Any, dead: Any) -> None:
        job = self._job

        async def take(stream: Any) -> None:
            async for event in stream.events():
                timestamp = int(event.message.timestamp * 1000)
                found = ingest(job, topic, event.value, timestamp)
                if found is None:
                    letter = dead_letter(job, topic, event.key, event.value, timestamp)
                    await dead.send(key=_KEY, value=letter)
                elif is_new(seen, found[1]):
                    await events.send(key=_KEY, value=found[0])

        self.app.agent(self._topic(topic), name=f"ingest-{topic}")(take)

    def _features(self) -> None:
        features, store, vectors = Features(self._job), self._store("windows"), self._kind("vectors")

        async def take(stream: Any) -> None:
            async for value in stream:
                vector = features.take(value, store)
                if vector is not None:
                    await vectors.send(key=_KEY, value=vector)

        self.app.agent(self._kind("events"), name="features")(take)

    def _score(self) -> None:
        scoring, predictions = Scoring(self._job), self._kind("predictions")

        async def take(stream: Any) -> None:
            async for value in stream:
                await predictions.send(key=_KEY, value=scoring.take(value))

        self.app.agent(self._kind("vectors"), name="score")(take)

    def _labels(self) -> None:
        job, store, examples = self._job, self._store("pending"), self._kind("examples")

        async def take(stream: Any) -> None:
            async for value in stream:
                example = label(job, value, store)
                if example is not None:
                    await examples.send(key=_KEY, value=example)

        for kind in ("predictions", "events"):
            self.app.agent(self._kind(kind), name=f"labels-{kind}")(take)

    def _learn(self) -> None:
        learning, evaluations = Learning(self._job), self._kind("evaluations")

        async def take(stream: Any) -> None:
            async for value in stream:
                evaluation = learning.take(value)
                if evaluation is not None:
                    await evaluations.send(key=_KEY, value=evaluation)

        self.app.agent(self._kind("examples"), name="learn")(take)


if __name__ == "__main__":
    program = Program(sys.argv[1], Job.from_environment())
    faust.Worker(program.app, loglevel="WARNING").execute_from_commandline()
