"""Every metric of the stage services: its name, kind, unit, what it tells and what to do about it, in one place.

All names begin with ``riverrun_``; every series has the label ``pipeline`` as well. ``docs/operations.md`` shows this
list, and a test holds it to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["METRICS", "Kind", "MetricDefinition"]


class Kind(StrEnum):
    """How a metric's values are to be read."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric.

    Parameters
    ----------
    name
        As it is exposed.
    kind
        Counter (only grows), gauge or histogram.
    unit
        Of its values; ``1`` for plain numbers.
    labels
        Names of its labels, in order.
    tells
        What it tells.
    advice
        What to do when it is off.
    buckets
        Upper bounds of a histogram's buckets, ascending.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    tells: str
    advice: str
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_RECORDS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0)

RECORDS_IN: Final = MetricDefinition(
    "riverrun_records_in_total",
    Kind.COUNTER,
    "records",
    ("stage", "partition"),
    "Positions folded of all inputs of a stage; its rate is the stage's throughput.",
    "A rate of 0 with a lag above 0: look at riverrun_degraded.",
)
RECORDS_OUT: Final = MetricDefinition(
    "riverrun_records_out_total",
    Kind.COUNTER,
    "records",
    ("stage", "partition", "topic"),
    "Records that a stage has committed to each of its topics.",
    "No vectors for events: does predict_on name the right stream? No examples: do labels arrive?",
)
FOLDED: Final = MetricDefinition(
    "riverrun_folded_total",
    Kind.COUNTER,
    "1",
    ("stage", "partition", "count"),
    "The counts that are part of each stage's fold: accepted, duplicates, labelled, expired, refused and the like.",
    "They are the same figures as in `riverrun status`; duplicates that rise mean that a producer retries.",
)
DEAD_LETTERS: Final = MetricDefinition(
    "riverrun_dead_letters_total",
    Kind.COUNTER,
    "records",
    ("partition", "reason"),
    "Records that were refused, by reason code.",
    "`riverrun dead-letters list` shows them with their producers' bytes; mend the producer, then `replay`.",
)
BATCH_RECORDS: Final = MetricDefinition(
    "riverrun_batch_records",
    Kind.HISTOGRAM,
    "records",
    ("chain",),
    "Records in one transaction: few when there is little to do, up to the limit under load.",
    "Always at RIVERRUN_BATCH_LIMIT: the service runs flat out. Raise it, or start more members.",
    _RECORDS,
)
BATCH_SECONDS: Final = MetricDefinition(
    "riverrun_batch_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("chain",),
    "From the first record taken to the commit of its transaction.",
    "Compare with riverrun_commit_seconds: the rest is the fold, that is, features and models.",
    _SECONDS,
)
COMMIT_SECONDS: Final = MetricDefinition(
    "riverrun_commit_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("chain",),
    "How long Kafka takes to commit a transaction.",
    "Above some 50 ms the brokers or their disks are slow, or acknowledgement waits for a replica.",
    _SECONDS,
)
EVENT_TO_COMMIT: Final = MetricDefinition(
    "riverrun_event_to_commit_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("chain",),
    "From a record's timestamp to the commit of what was made of it, of a sample of every batch.",
    "High with no lag: the commits are slow. High with lag: see riverrun_lag_records.",
    _SECONDS,
)
CLOCK_AHEAD: Final = MetricDefinition(
    "riverrun_producer_clock_ahead_seconds",
    Kind.GAUGE,
    "seconds",
    ("chain", "partition"),
    "How far the records' timestamps were ahead of this machine's clock in the last batch; 0 if they were not.",
    "Producers' clocks, or this machine's, are wrong: latency figures are too, and max_future_ms may refuse events.",
)
LAG: Final = MetricDefinition(
    "riverrun_lag_records",
    Kind.GAUGE,
    "records",
    ("chain", "partition"),
    "Records of the inputs that are not folded yet.",
    "Growing for minutes: start more members, or make features and models cheaper.",
)
WATERMARK_DELAY: Final = MetricDefinition(
    "riverrun_watermark_delay_seconds",
    Kind.GAUGE,
    "seconds",
    ("stage", "partition"),
    "How far the greatest event time folded lies behind this machine's clock; years in a replay of old events.",
    "Growing second by second: the stream is silent, or its service stands still.",
)
STATE_AGE: Final = MetricDefinition(
    "riverrun_state_age_seconds",
    Kind.GAUGE,
    "seconds",
    ("chain", "partition"),
    "For how long there have been commits that trailing state does not reflect yet; 0 if it reflects all.",
    "Above some 10 s a store does not take writes; a restart would fold that much again.",
)
RETRIES: Final = MetricDefinition(
    "riverrun_retries_total",
    Kind.COUNTER,
    "1",
    ("dependency",),
    "Attempts that failed because a dependency was away, and are made again.",
    "Which dependency it is says where to look.",
)
REBALANCES: Final = MetricDefinition(
    "riverrun_rebalances_total",
    Kind.COUNTER,
    "1",
    ("chain",),
    "Changes of the partitions that this member has.",
    "More than a few an hour: members die, or do not poll within their session; look for restarts and stalls.",
)
PARTITIONS: Final = MetricDefinition(
    "riverrun_partitions",
    Kind.GAUGE,
    "1",
    ("chain",),
    "Partitions that this member works on.",
    "0 in a member: there are more members than partitions, and this one stands by.",
)
FENCED: Final = MetricDefinition(
    "riverrun_fenced_total",
    Kind.COUNTER,
    "1",
    ("chain",),
    "Commits refused because another member has taken the partition over.",
    "A few at a rebalance are the guard at work; many mean that two groups run under one name.",
)
TORN: Final = MetricDefinition(
    "riverrun_torn_total",
    Kind.COUNTER,
    "1",
    ("chain",),
    "Commits during which the connection to Kafka broke; the writer was made anew and the tails read again.",
    "More than a few a day: look at the network and the brokers' restarts.",
)
RESTORE_SECONDS: Final = MetricDefinition(
    "riverrun_restore_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("chain",),
    "How long it takes to restore a partition: fence, load state, replay.",
    "Long: state was lost and the log folded again from the start; see riverrun_state_age_seconds before a restart.",
    _SECONDS,
)
MODEL_VERSION: Final = MetricDefinition(
    "riverrun_model_version",
    Kind.GAUGE,
    "examples",
    ("model", "partition"),
    "How many examples the version in use of each model has folded.",
    "Not growing in a scorer: no new versions are published, or they are refused (riverrun_degraded).",
)
DEGRADED: Final = MetricDefinition(
    "riverrun_degraded",
    Kind.GAUGE,
    "1",
    ("what",),
    "1 while the service is degraded in this way anywhere, else 0.",
    "`/health/ready` says where, since when and why; the table of degraded states says what to do.",
)
TRACED: Final = MetricDefinition(
    "riverrun_traced_total",
    Kind.COUNTER,
    "records",
    ("chain",),
    "Records that were traced (OpenTelemetry).",
    "0 with OTEL_EXPORTER_OTLP_ENDPOINT set: is OTEL_TRACES_SAMPLER_ARG 0, or no record sampled by its producer?",
)
MEMORY: Final = MetricDefinition(
    "riverrun_memory_bytes",
    Kind.GAUGE,
    "bytes",
    (),
    "Resident memory of the process.",
    "Growing for days: more entities within the windows, or a model that grows; compare with the memory limit.",
)
CPU_SECONDS: Final = MetricDefinition(
    "riverrun_cpu_seconds_total",
    Kind.COUNTER,
    "seconds",
    (),
    "Processor time that the process has used.",
    "A rate near 1: the worker runs flat out, and only more members help.",
)

RESPONSES: Final = MetricDefinition(
    "riverrun_gateway_responses_total",
    Kind.COUNTER,
    "responses",
    ("status",),
    "Responses of the gateway, by HTTP status.",
    "503: `/health/ready` says what is away. 429: a key asks more often than RIVERRUN_GATEWAY_RATE allows.",
)
REQUESTS: Final = MetricDefinition(
    "riverrun_gateway_requests_in_work",
    Kind.GAUGE,
    "requests",
    (),
    "Requests that the gateway is answering.",
    "At RIVERRUN_GATEWAY_MAX_CONCURRENT others are refused: Kafka or Redis is slow, or another gateway is due.",
)
LISTENERS: Final = MetricDefinition(
    "riverrun_gateway_alert_listeners",
    Kind.GAUGE,
    "connections",
    (),
    "Connections that follow the alerts live.",
    "At RIVERRUN_GATEWAY_MAX_LIVE others are refused.",
)
ALERTS: Final = MetricDefinition(
    "riverrun_alerts_total",
    Kind.COUNTER,
    "alerts",
    ("status",),
    "Alerts that this process has written: raised, escalated, acknowledged, resolved, digests.",
    "Rising without end: give the rule a cooldown or a digest. Not rising in a fire: is anything read? See its log.",
)
DELIVERIES: Final = MetricDefinition(
    "riverrun_deliveries_total",
    Kind.COUNTER,
    "attempts",
    ("subscription", "outcome"),
    "Attempts to deliver alerts: `delivered`, `failed` and to be made again, or `gone`, the receiver wants no more.",
    "Only `failed` rises: the receiver is away, or refuses; what is due waits for it, in order. The log says why.",
)

METRICS: Final = (
    *(RECORDS_IN, RECORDS_OUT, FOLDED, DEAD_LETTERS),
    *(BATCH_RECORDS, BATCH_SECONDS, COMMIT_SECONDS, EVENT_TO_COMMIT, CLOCK_AHEAD),
    *(LAG, WATERMARK_DELAY, STATE_AGE),
    *(RETRIES, REBALANCES, PARTITIONS, FENCED, TORN, RESTORE_SECONDS),
    *(MODEL_VERSION, DEGRADED, TRACED),
    *(RESPONSES, REQUESTS, LISTENERS, ALERTS, DELIVERIES),
    *(MEMORY, CPU_SECONDS),
)
"""All of them, in the order in which they are exposed."""
