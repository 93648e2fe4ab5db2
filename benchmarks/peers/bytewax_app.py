"""The five stages on Bytewax: ``python -m benchmarks.peers.bytewax_app STAGE``.

One partition, so that all events may share one key and a stage's state is one key's, in memory, snapshotted whole each
few seconds, as Bytewax does. Its sink writes at least once: after a crash the records since the last snapshot are
written again. That is less than what the others promise.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.peers.job import Features, Job, Learning, Scoring, dead_letter, ingest, is_new, label

_KEY = b"all"
_SNAPSHOT_EVERY = timedelta(seconds=10)
"""Bytewax's own default."""

_Take = Callable[[Any], Iterable[Any]]


class _Held:
    """State in memory as the job's store; nothing is copied until a snapshot."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.held = held
        self.get = held.get

    def put(self, name: str, value: Any) -> None:
        """Store a value."""
        self.held[name] = value

    def delete(self, name: str) -> None:
        """Delete a value."""
        self.held.pop(name, None)


class _Logic(StatefulBatchLogic[Any, Any, bytes]):
    """Folds batches into one key's state."""

    def __init__(self, snapshot: bytes | None, make: Callable[[_Held], _Take]) -> None:
        self._state = _Held({} if snapshot is None else pickle.loads(snapshot))
        self._take = make(self._state)

    def on_batch(self, values: Sequence[Any]) -> tuple[Iterable[Any], bool]:
        """Fold a batch; keep the state."""
        take = self._take
        return [out for value in values for out in take(value)], False

    def snapshot(self) -> bytes:
        """Return the state as it is now."""
        return pickle.dumps(self._state.held, protocol=pickle.HIGHEST_PROTOCOL)


class Program:
    """One stage's dataflow.

    Parameters
    ----------
    stage
        Which.
    job
        What to do.
    """

    def __init__(self, stage: str, job: Job) -> None:
        self._job = job
        self._stage = stage
        self._flow = Dataflow(stage)
        getattr(self, f"_{stage}")()

    def run(self) -> None:
        """Run until ended."""
        folder = self._job.folder / f"{self._job.prefix}.{self._stage}"
        folder.mkdir(parents=True, exist_ok=True)
        init_db_dir(folder, 1)
        cli_main(self._flow, epoch_interval=_SNAPSHOT_EVERY, recovery_config=RecoveryConfig(folder))

    def _read(self, *topics: str) -> Any:
        committed = {"isolation.level": "read_committed"}
        source = KafkaSource([self._job.kafka], topics, add_config=committed, batch_size=1_000)
        return op.input("read", self._flow, source)

    def _write(self, stream: Any, kind: str) -> None:
        topic = self._job.topic(kind)
        ready = op.map(f"to-{kind}", stream, lambda value: KafkaSinkMessage(_KEY, value))
        settings = {"enable.idempotence": "true", "compression.type": "lz4", "linger.ms": "5"}
        op.output(f"write-{kind}", ready, KafkaSink([self._job.kafka], topic, add_config=settings))

    def _keep(self, stream: Any, make: Callable[[_Held], _Take]) -> Any:
        """Return what a stage with state makes of a stream."""
        keyed = op.key_on("key", stream, lambda message: "all")
        made = op.stateful_batch("fold", keyed, lambda snapshot: _Logic(snapshot, make))
        return op.key_rm("unkey", made)

    def _ingest(self) -> None:
        job = self._job

        def make(state: _Held) -> _Take:
            def take(message: Any) -> Iterable[tuple[bool, bytes]]:
                timestamp = message.timestamp[1]
                found = ingest(job, message.topic, message.value, timestamp)
                if found is None:
                    yield False, dead_letter(job, message.topic, message.key, message.value, timestamp)
                elif is_new(state, found[1]):
                    yield True, found[0]

            return take

        branches = op.branch("judge", self._keep(self._read(*job.sources), make), lambda each: each[0])
        self._write(op.map("good", branches.trues, lambda each: each[1]), "events")
        self._write(op.map("bad", branches.falses, lambda each: each[1]), "dead-letters")

    def _features(self) -> None:
        features = Features(self._job)

        def make(state: _Held) -> _Take:
            def take(message: Any) -> Iterable[bytes]:
                vector = features.take(message.value, state)
                if vector is not None:
                    yield vector

            return take

        self._write(self._keep(self._read(self._job.topic("events")), make), "vectors")

    def _score(self) -> None:
        scoring = Scoring(self._job)
        vectors = self._read(self._job.topic("vectors"))
        self._write(op.map("score", vectors, lambda message: scoring.take(message.value)), "predictions")

    def _labels(self) -> None:
        job = self._job

        def make(state: _Held) -> _Take:
            def take(message: Any) -> Iterable[bytes]:
                example = label(job, message.value, state)
                if example is not None:
                    yield example

            return take

        both = self._read(job.topic("predictions"), job.topic("events"))
        self._write(self._keep(both, make), "examples")

    def _learn(self) -> None:
        learning = Learning(self._job)
        examples = self._read(self._job.topic("examples"))
        evaluations = op.filter_map("learn", examples, lambda message: learning.take(message.value))
        self._write(evaluations, "evaluations")


if __name__ == "__main__":
    Program(sys.argv[1], Job.from_environment()).run()
