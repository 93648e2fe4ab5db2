"""What flows between stages, as plain objects.

Every item is written to one topic of the pipeline (its *kind*) and carries ``seq``, its position in that
topic and partition: a dense count from zero, kept by the one task that writes there. Positions, unlike Kafka
offsets, are known before a transaction commits, have no holes, and mean the same to a stage that runs chained
and to one that runs alone.

Items are treated as immutable once sent. They are not frozen dataclasses only because a frozen one costs twice
as much to construct, on the hottest path there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

FieldValue = bool | int | float | str | bytes | None
"""A field of an event or a vector, after decoding: times are integer milliseconds since the epoch, UTC."""

UNSENT = -1
"""The ``seq`` of an item that no link has numbered yet."""


class Source(NamedTuple):
    """Where an item came from: a record of a topic, by its position there.

    ``position`` is the Kafka offset for a producer's topic and ``seq`` for riverrun's own topics.
    """

    topic: str
    partition: int
    position: int


NOWHERE = Source("", 0, UNSENT)
"""The source of an item that was made from no record."""


class ForeignRead(NamedTuple):
    """A partial of another partition that a vector merged: what the log alone would not tell."""

    partition: int
    group: str
    entity: str
    position: int


class ModelScore(NamedTuple):
    """One model's output on a vector.

    ``version`` is the number of records of ``examples`` that the model had folded; ``score`` the probability of
    the positive class, or the predicted number.
    """

    model: str
    version: int
    score: float


@dataclass(slots=True)
class Event:
    """An accepted, validated, deduplicated event of one of the pipeline's streams."""

    stream: str
    id: str
    key: str
    time: int
    fields: dict[str, FieldValue]
    payload: bytes
    source: Source
    seq: int = UNSENT


@dataclass(slots=True)
class DeadLetter:
    """A record that could not be accepted, with all that is needed to see why and to send it again."""

    reason: str
    detail: str
    source: Source
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    seq: int = UNSENT


@dataclass(slots=True)
class Vector:
    """The point-in-time feature vector of one event to predict on; ``values`` in the feature set's order."""

    id: str
    key: str
    time: int
    event_seq: int
    values: tuple[FieldValue, ...]
    reads: tuple[ForeignRead, ...]
    source: Source
    payload: bytes = b""
    seq: int = UNSENT


@dataclass(slots=True)
class Prediction:
    """The champion's prediction (first of ``scores``) and every challenger's, with the vector as it was served."""

    id: str
    key: str
    time: int
    event_seq: int
    scores: tuple[ModelScore, ...]
    vector: bytes
    source: Source
    payload: bytes = b""
    seq: int = UNSENT


LABELLED = "labelled"
DEFAULTED = "defaulted"
EXPIRED = "expired"
REVISED = "revised"


@dataclass(slots=True)
class Example:
    """How a prediction ended: its vector with the label, or without one when the wait was over.

    ``outcome`` is one of ``labelled``, ``defaulted``, ``expired`` (exactly one of these for each prediction) or
    ``revised`` (a later, different label; counted, not learned).
    """

    id: str
    key: str
    time: int
    outcome: str
    label: float | None
    label_time: int
    scores: tuple[ModelScore, ...]
    vector: bytes
    source: Source
    seq: int = UNSENT
    writer: int = 0


@dataclass(slots=True)
class Evaluation:
    """A model's prequential quality after ``position`` examples, over all of them and over the last window."""

    model: str
    position: int
    time: int
    count: int
    metrics: dict[str, float]
    window: dict[str, float]
    source: Source
    seq: int = UNSENT


@dataclass(slots=True)
class ModelVersion:
    """A published snapshot: where it lies, what it is and how to tell that it is what was published."""

    model: str
    position: int
    time: int
    parent: int
    uri: str
    digest: str
    signature: str
    code_hash: str
    feature_set: str
    libraries: dict[str, str]
    seed: int
    metrics: dict[str, float]
    source: Source
    seq: int = UNSENT


@dataclass(slots=True)
class ModelAlias:
    """A name such as ``champion`` given to a model, with its author and reason."""

    alias: str
    model: str
    author: str
    reason: str
    source: Source
    seq: int = UNSENT


@dataclass(slots=True)
class Drift:
    """A finding: something is no longer distributed as it was in its reference.

    ``kind`` and ``subject`` name what moved, ``segment`` of which predictions (``carrier=UA``; empty for all of them).
    Offsets are places in the order in which the partition was folded that ``source`` names, from 0. ``edges``
    are the inner bounds of a number's bins, or ``labels`` the categories, one a bin; ``reference`` and ``current``
    count the values in each bin.
    """

    id: str
    kind: str
    severity: str
    subject: str
    segment: str
    statistic: str
    value: float
    threshold: float
    p_value: float | None
    since_offset: int
    since_time: int
    detected_offset: int
    time: int
    edges: tuple[float, ...]
    labels: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    message: str
    source: Source
    seq: int = UNSENT


@dataclass(slots=True)
class Alert:
    """One step in the life of an incident: that it was raised, escalated, acknowledged, or is over; or a digest.

    ``id`` follows from ``source`` and the rule, so whoever receives an alert twice can tell. ``incident`` is the id of
    the first alert of the same matter. ``subscriptions`` names whom it is for, as it was decided when it was made.
    """

    id: str
    incident: str
    status: str
    rule: str
    kind: str
    severity: str
    subject: str
    time: int
    title: str
    source: Source
    text: str = ""
    segment: dict[str, str] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    level: int = 0
    suppressed: int = 0
    author: str = ""
    note: str = ""
    subscriptions: tuple[str, ...] = ()
    seq: int = UNSENT


@dataclass(slots=True)
class AlertCommand:
    """What a person asks of the alerts service: ``acknowledge``, ``subscribe`` or ``unsubscribe``.

    ``secret`` names a setting; no secret travels. A command with an ``id`` that was carried out before does nothing.
    """

    id: str
    action: str
    time: int
    author: str
    alert: str = ""
    note: str = ""
    subscription: str = ""
    channel: str = ""
    url: str = ""
    secret: str = ""
    min_severity: str = "info"
    segments: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    source: Source = NOWHERE
    seq: int = UNSENT


@dataclass(slots=True)
class InputPosition:
    """How far a stage has folded one writer's records of an input partition.

    ``next`` is the position of the first record not folded. ``hint`` is a Kafka offset at or below that record's,
    where a reader may start looking for it. ``writer`` is -1 for a producer's topic, whose positions are offsets.
    """

    topic: str
    partition: int
    writer: int
    next: int
    hint: int


@dataclass(slots=True)
class Progress:
    """A stage's commit record: written last in every transaction, read first at every start."""

    stage: str
    partition: int
    inputs: tuple[InputPosition, ...]
    outputs: dict[str, int]
    counters: dict[str, int]
    watermark: int
    latency_ms: dict[str, float] = field(default_factory=dict)
    transactional_id: str = ""
    degraded: dict[str, int] = field(default_factory=dict)


Item = (
    Event
    | DeadLetter
    | Vector
    | Prediction
    | Example
    | Evaluation
    | ModelVersion
    | ModelAlias
    | Drift
    | Alert
    | AlertCommand
)
"""Anything a core may return from a step; its class decides the topic."""
