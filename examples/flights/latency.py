"""Latency as a consumer sees it: from a raw event's append to its prediction's arrival, read committed."""

from __future__ import annotations

from examples.flights.arrivals import Watch, appended
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

_WARM_UP_MS = 1_000
_WARM_UP_SHARE = 5


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
        self._predictions = Watch(self._log, predictions)

    def close(self) -> dict[str, float]:
        """Stop, and return ``p50`` and ``p99`` in milliseconds; empty if nothing came.

        The first second is warm-up and not measured; of a short run, the first fifth.
        """
        self._predictions.close()
        arrived: dict[bytes, float] = {}
        for moment, key, _ in self._predictions.seen:
            arrived.setdefault(key, moment)
        sent = appended(self._log, *self._raw)
        if not sent:
            return {}
        first, last_append = min(sent.values()), max(sent.values())
        start = first + min(_WARM_UP_MS, (last_append - first) / _WARM_UP_SHARE)
        waits = sorted(arrived[key] - moment for key, moment in sent.items() if key in arrived and moment >= start)
        if not waits:
            return {}
        last = len(waits) - 1
        return {"p50": round(waits[last // 2], 1), "p99": round(waits[last * 99 // 100], 1)}
