"""Latency as a consumer sees it: from a raw event's append to its prediction's arrival, read committed."""

from __future__ import annotations

import threading
import time

from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

_WARM_UP_MS = 1_000
_WARM_UP_SHARE = 5
_WAIT_S = 0.05
_BATCH = 1_000


class LatencyWatch:
    """Notes when each prediction can be read, from the moment it is made on.

    Both ends are on this machine's clock: the raw topic's timestamps are those of the broker's append, and a
    prediction counts as there when a read-committed consumer has it, hence after its commit.

    Parameters
    ----------
    deployment
        The pipeline, with one partition.
    raw_topic
        The topic whose events are predicted on.
    """

    def __init__(self, deployment: Deployment, raw_topic: str) -> None:
        self._log = deployment.log
        self._raw = (raw_topic, self._log.high_watermark(raw_topic, 0))
        predictions = deployment.topology.names[Kind.PREDICTIONS]
        self._reader = self._log.reader(predictions, 0, self._log.high_watermark(predictions, 0))
        self._arrived: dict[bytes, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="demo-latency", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.is_set():
            records = self._reader.poll(_BATCH, _WAIT_S)
            now = time.time() * 1000
            for record in records:
                self._arrived.setdefault(record.key or b"", now)

    def close(self) -> dict[str, float]:
        """Stop, and return ``p50`` and ``p99`` in milliseconds; empty if nothing came.

        The first second is warm-up and not measured; of a short run, the first fifth.
        """
        self._ended.set()
        self._thread.join()
        self._reader.close()
        appended = self._appended()
        if not appended:
            return {}
        first, last_append = min(appended.values()), max(appended.values())
        start = first + min(_WARM_UP_MS, (last_append - first) / _WARM_UP_SHARE)
        waits = sorted(
            self._arrived[key] - moment for key, moment in appended.items() if key in self._arrived and moment >= start
        )
        if not waits:
            return {}
        last = len(waits) - 1
        return {"p50": round(waits[last // 2], 1), "p99": round(waits[last * 99 // 100], 1)}

    def _appended(self) -> dict[bytes, int]:
        topic, offset = self._raw
        reader = self._log.reader(topic, 0, offset)
        found: dict[bytes, int] = {}
        try:
            while not reader.at_end:
                for record in reader.poll(_BATCH, _WAIT_S):
                    found.setdefault(record.key or b"", record.timestamp)
        finally:
            reader.close()
        return found
