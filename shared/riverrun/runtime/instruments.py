"""One task's instruments: what it measures each batch, and what it finds wrong at each look; never by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from riverrun.errors import UnavailableError
from riverrun.records.items import Progress
from riverrun.runtime import metrics
from riverrun.runtime.degradations import Degradation, degradation_of
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.lag_watch import LagWatch

__all__ = ["Instruments"]

_LOOK_EVERY_S: Final = 1.0
_LOOK, _STATE = _SOURCES = ("look", "state")


class Instruments:
    """Measures one task.

    Parameters
    ----------
    deployment
        Its observer, clocks and settings.
    chain
        The chain's name.
    partition
        The task's partition.

    Attributes
    ----------
    where
        The chain and partition, as conditions name it.
    progress
        The last commit records, one a stage: what a reader of metrics computes most figures from.
    lag
        Records not folded at the last look.
    clock_ahead
        By how many seconds records' timestamps were ahead of this machine's clock in the last batch.
    degraded
        What is wrong here by code, and since when, in milliseconds since the epoch; a commit record says it.
    unsaid
        Whether ``degraded`` has changed and no commit record says so yet.
    """

    __slots__ = (
        "_clocks",
        "_conditions",
        "_histograms",
        "_look_at",
        "_meter",
        "_unstored_since",
        "_watch",
        "chain",
        "clock_ahead",
        "degraded",
        "lag",
        "partition",
        "progress",
        "unsaid",
        "where",
    )

    def __init__(self, deployment: Deployment, chain: str, partition: int) -> None:
        meter = deployment.observer.meter
        self.partition = partition
        self.where = f"{chain}[{partition}]"
        self.progress: tuple[Progress, ...] = ()
        self.lag = 0
        self.clock_ahead = 0.0
        self.degraded: dict[str, int] = {}
        self.unsaid = False
        self.chain = chain
        self._clocks = deployment.clocks
        self._conditions = deployment.observer.conditions
        self._meter = meter
        self._histograms = {
            metric: meter.histogram(metric, chain)
            for metric in (
                metrics.BATCH_RECORDS,
                metrics.BATCH_SECONDS,
                metrics.COMMIT_SECONDS,
                metrics.EVENT_TO_COMMIT,
            )
        }
        self._look_at = 0.0
        self._unstored_since: float | None = None
        self._watch = LagWatch(deployment.settings.lag_limit_ms / 1000)

    def committed(self, records: int, batch_s: float, commit_s: float, latencies_ms: Sequence[float]) -> None:
        """Take in a batch that was committed.

        Parameters
        ----------
        records
            How many were folded.
        batch_s, commit_s
            How long the batch, and in it the commit, took; in seconds.
        latencies_ms
            From the append of a sample of its records to their commit; in milliseconds.
        """
        histograms = self._histograms
        histograms[metrics.COMMIT_SECONDS].observe(commit_s)
        if self._unstored_since is None:
            self._unstored_since = self._clocks.monotonic()
        if not records:
            return
        histograms[metrics.BATCH_RECORDS].observe(records)
        histograms[metrics.BATCH_SECONDS].observe(batch_s)
        observe = histograms[metrics.EVENT_TO_COMMIT].observe
        for latency in latencies_ms:
            observe(max(0.0, latency) / 1000)
        self.clock_ahead = max(0.0, -min(latencies_ms, default=0.0) / 1000)

    def traced(self, records: int) -> None:
        """Count records whose traces have ended."""
        if records:
            self._meter.counter(metrics.TRACED, self.chain).add(records)

    def look_due(self, now: float) -> bool:
        """Tell whether to look again, at the monotonic time ``now`` in seconds."""
        return now >= self._look_at

    def look(self, now: float, lag: int, *, caught_up: bool, refused: str) -> None:
        """Take a look at the task.

        Parameters
        ----------
        now
            Monotonic time, in seconds.
        lag
            Records not folded.
        caught_up
            Whether so few records are left that it is up to date.
        refused
            Why a published model is not in use, or nothing.
        """
        self._look_at = now + _LOOK_EVERY_S
        self.lag = lag
        found: dict[Degradation, str] = {}
        late = self._watch.look(now, lag, caught_up=caught_up)
        if late:
            found[Degradation.LAGGING] = late
        if refused:
            found[Degradation.MODEL_REFUSED] = refused
        self._find(_LOOK, found)

    def stored(self, errors: Sequence[UnavailableError]) -> None:
        """Take in an attempt to write trailing state, with what could not be reached."""
        for error in errors:
            self._meter.counter(metrics.RETRIES, error.dependency.value).add()
        if not errors:
            self._unstored_since = None
        self._find(_STATE, {degradation_of(error): str(error) for error in errors})

    def _find(self, source: str, found: Mapping[Degradation, str]) -> None:
        self._conditions.replace(self.where, source, found, self._clocks.wall())
        # What was found in an earlier life of the task may still stand.
        degraded = self._conditions.of(self.where, _SOURCES)
        if degraded != self.degraded:
            self.degraded = degraded
            self.unsaid = True

    def state_age_s(self) -> float:
        """Return for how long there have been commits that trailing state does not reflect, in seconds."""
        since = self._unstored_since
        return 0.0 if since is None else max(0.0, self._clocks.monotonic() - since)
