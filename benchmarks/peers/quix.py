"""The five stages on Quix Streams, exactly once: ``python -m benchmarks.peers.quix STAGE``.

One partition, so that all events may share one key and a stage's state is one key's. State is what Quix offers:
RocksDB with a changelog topic, in the transaction of the checkpoint.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from quixstreams import Application

from benchmarks.peers.job import Features, Job, Learning, Scoring, dead_letter, ingest, is_new, label

_KEY = b"all"


class _State:
    """A Quix state as the job's store."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def get(self, name: str) -> Any:
        """Return what is stored."""
        value = self._state.get_bytes(name)
        return None if value is None else pickle.loads(value)

    def put(self, name: str, value: Any) -> None:
        """Store a value."""
        self._state.set_bytes(name, pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))

    def delete(self, name: str) -> None:
        """Delete a value."""
        self._state.delete(name)


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
        self._app = Application(
            broker_address=job.kafka,
            consumer_group=f"{job.prefix}.{stage}",
            auto_offset_reset="earliest",
            processing_guarantee="exactly-once",
            state_dir=job.folder / f"{job.prefix}.{stage}",
            commit_interval=1.0,
            consumer_poll_timeout=0.1,
            producer_extra_config={"linger.ms": 20, "compression.type": "lz4"},
            loglevel="WARNING",
        )
        getattr(self, f"_{stage}")()

    def run(self) -> None:
        """Run until ended."""
        self._app.run()

    def _topic(self, name: str) -> Any:
        types: dict[str, Any] = {
            "value_deserializer": "bytes",
            "value_serializer": "bytes",
            "key_deserializer": "bytes",
            "key_serializer": "bytes",
        }
        return self._app.topic(name, **types)

    def _kind(self, kind: str) -> Any:
        return self._topic(self._job.topic(kind))

    def _ingest(self) -> None:
        job = self._job
        events, dead = self._kind("events"), self._kind("dead-letters")
        for topic in job.sources:
            self._ingest_topic(topic, events, dead)

    def _ingest_topic(self, topic: str, events: Any, dead: Any) -> None:
        job = self._job

        def decode(value: Any, key: Any, timestamp: int, headers: Any) -> Any:
            del headers
            found = ingest(job, topic, value, timestamp)
            return found or dead_letter(job, topic, key, value, timestamp)

        decoded = self._app.dataframe(self._topic(topic)).apply(decode, metadata=True)
        decoded.filter(lambda value: isinstance(value, bytes)).to_topic(dead, key=lambda value: _KEY)
        good = decoded.filter(lambda value: not isinstance(value, bytes))
        fresh = good.filter(lambda value, state: is_new(_State(state), value[1]), stateful=True)
        fresh.apply(lambda value: value[0]).to_topic(events, key=lambda value: _KEY)

    def _features(self) -> None:
        features = Features(self._job)
        stream = self._app.dataframe(self._kind("events"))
        stream = stream.apply(lambda value, state: features.take(value, _State(state)), stateful=True)
        stream.filter(lambda value: value is not None).to_topic(self._kind("vectors"), key=lambda value: _KEY)

    def _score(self) -> None:
        scoring = Scoring(self._job)
        stream = self._app.dataframe(self._kind("vectors")).apply(scoring.take)
        stream.to_topic(self._kind("predictions"), key=lambda value: _KEY)

    def _labels(self) -> None:
        job = self._job
        both = self._app.dataframe(self._kind("predictions")).concat(self._app.dataframe(self._kind("events")))
        stream = both.apply(lambda value, state: label(job, value, _State(state)), stateful=True)
        stream.filter(lambda value: value is not None).to_topic(self._kind("examples"), key=lambda value: _KEY)

    def _learn(self) -> None:
        learning = Learning(self._job)
        stream = self._app.dataframe(self._kind("examples")).apply(learning.take)
        stream.filter(lambda value: value is not None).to_topic(self._kind("evaluations"), key=lambda value: _KEY)


if __name__ == "__main__":
    Program(sys.argv[1], Job.from_environment()).run()
