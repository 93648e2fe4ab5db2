"""Between items and the fields of their Avro records: one pair of functions for each fixed record type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from riverrun.records.avro import AvroRecord
from riverrun.records.headers import Stamp
from riverrun.records.items import (
    Alert,
    AlertCommand,
    DeadLetter,
    Drift,
    Evaluation,
    Example,
    InputPosition,
    Item,
    ModelAlias,
    ModelScore,
    ModelVersion,
    Prediction,
    Progress,
    Source,
)

__all__ = ["FIXED_RECORDS", "FixedRecord"]

Fields = dict[str, Any]
"""A record's fields by name. What fastavro returns is dynamically typed; its shape is that of the schema."""


class ToFields(Protocol):
    """Turns an item of one class into a record's fields."""

    def __call__(self, item: Any, /) -> AvroRecord:
        """Return the fields."""
        ...


class FromFields(Protocol):
    """Turns a record's fields into an item of one class."""

    def __call__(self, fields: Fields, value: bytes, stamp: Stamp, /) -> Item | Progress:
        """Return the item; ``value`` is the framed record that the fields were read from."""
        ...


@dataclass(frozen=True, slots=True)
class FixedRecord:
    """A fixed record type: the name of its schema in ``schemas/``, its class, and the way from one to the other."""

    schema: str
    item: type
    to_fields: ToFields
    from_fields: FromFields


def _scores_to(scores: tuple[ModelScore, ...]) -> list[AvroRecord]:
    return [{"model": model, "version": version, "score": score} for model, version, score in scores]


def _scores_from(rows: list[Fields]) -> tuple[ModelScore, ...]:
    return tuple([ModelScore(row["model"], row["version"], row["score"]) for row in rows])


def _dead_letter_to(item: DeadLetter) -> AvroRecord:
    return {
        "reason": item.reason,
        "detail": item.detail,
        "topic": item.source.topic,
        "partition": item.source.partition,
        "offset": item.source.position,
        "timestamp": item.timestamp,
        "key": item.key,
        "value": item.value,
        "headers": [{"name": name, "value": value} for name, value in item.headers],
    }


def _dead_letter_from(fields: Fields, value: bytes, stamp: Stamp) -> DeadLetter:
    return DeadLetter(
        reason=fields["reason"],
        detail=fields["detail"],
        source=stamp.source,
        timestamp=fields["timestamp"],
        key=fields["key"],
        value=fields["value"],
        headers=tuple((row["name"], row["value"]) for row in fields["headers"]),
        seq=stamp.seq,
    )


def _prediction_to(item: Prediction) -> AvroRecord:
    return {
        "id": item.id,
        "key": item.key,
        "time": item.time,
        "event_seq": item.event_seq,
        "scores": _scores_to(item.scores),
        "vector": item.vector,
    }


def _prediction_from(fields: Fields, value: bytes, stamp: Stamp) -> Prediction:
    return Prediction(
        fields["id"],
        fields["key"],
        fields["time"],
        fields["event_seq"],
        _scores_from(fields["scores"]),
        fields["vector"],
        stamp.source,
        value,
        stamp.seq,
    )


def _example_to(item: Example) -> AvroRecord:
    return {
        "id": item.id,
        "key": item.key,
        "time": item.time,
        "outcome": item.outcome,
        "label": item.label,
        "label_time": item.label_time,
        "scores": _scores_to(item.scores),
        "vector": item.vector,
    }


def _example_from(fields: Fields, value: bytes, stamp: Stamp) -> Example:
    return Example(
        fields["id"],
        fields["key"],
        fields["time"],
        fields["outcome"],
        fields["label"],
        fields["label_time"],
        _scores_from(fields["scores"]),
        fields["vector"],
        stamp.source,
        stamp.seq,
        stamp.writer,
    )


def _evaluation_to(item: Evaluation) -> AvroRecord:
    return {
        "model": item.model,
        "position": item.position,
        "time": item.time,
        "count": item.count,
        "metrics": item.metrics,
        "window": item.window,
    }


def _evaluation_from(fields: Fields, value: bytes, stamp: Stamp) -> Evaluation:
    return Evaluation(
        model=fields["model"],
        position=fields["position"],
        time=fields["time"],
        count=fields["count"],
        metrics=fields["metrics"],
        window=fields["window"],
        source=stamp.source,
        seq=stamp.seq,
    )


def _model_version_to(item: ModelVersion) -> AvroRecord:
    return {
        "model": item.model,
        "position": item.position,
        "time": item.time,
        "parent": item.parent,
        "uri": item.uri,
        "digest": item.digest,
        "signature": item.signature,
        "code_hash": item.code_hash,
        "feature_set": item.feature_set,
        "libraries": item.libraries,
        "seed": item.seed,
        "metrics": item.metrics,
    }


def _model_version_from(fields: Fields, value: bytes, stamp: Stamp) -> ModelVersion:
    return ModelVersion(
        model=fields["model"],
        position=fields["position"],
        time=fields["time"],
        parent=fields["parent"],
        uri=fields["uri"],
        digest=fields["digest"],
        signature=fields["signature"],
        code_hash=fields["code_hash"],
        feature_set=fields["feature_set"],
        libraries=fields["libraries"],
        seed=fields["seed"],
        metrics=fields["metrics"],
        source=stamp.source,
        seq=stamp.seq,
    )


def _model_alias_to(item: ModelAlias) -> AvroRecord:
    return {
        "alias": item.alias,
        "model": item.model,
        "author": item.author,
        "reason": item.reason,
    }


def _model_alias_from(fields: Fields, value: bytes, stamp: Stamp) -> ModelAlias:
    return ModelAlias(
        alias=fields["alias"],
        model=fields["model"],
        author=fields["author"],
        reason=fields["reason"],
        source=stamp.source,
        seq=stamp.seq,
    )


def _progress_to(item: Progress) -> AvroRecord:
    return {
        "stage": item.stage,
        "partition": item.partition,
        "inputs": [_input_to(row) for row in item.inputs],
        "outputs": item.outputs,
        "counters": item.counters,
        "watermark": item.watermark,
        "latency_ms": item.latency_ms,
        "transactional_id": item.transactional_id,
        "degraded": item.degraded,
    }


def _input_to(row: InputPosition) -> AvroRecord:
    return {
        "topic": row.topic,
        "partition": row.partition,
        "writer": row.writer,
        "next": row.next,
        "hint": row.hint,
    }


def _progress_from(fields: Fields, value: bytes, stamp: Stamp) -> Progress:
    return Progress(
        stage=fields["stage"],
        partition=fields["partition"],
        inputs=tuple(
            InputPosition(row["topic"], row["partition"], row["writer"], row["next"], row["hint"])
            for row in fields["inputs"]
        ),
        outputs=fields["outputs"],
        counters=fields["counters"],
        watermark=fields["watermark"],
        latency_ms=fields["latency_ms"],
        transactional_id=fields["transactional_id"],
        degraded=fields["degraded"],
    )


_HISTOGRAMS: Final = ("edges", "labels", "reference", "current")


def _drift_to(item: Drift) -> AvroRecord:
    return {
        "id": item.id,
        "kind": item.kind,
        "severity": item.severity,
        "subject": item.subject,
        "segment": item.segment,
        "statistic": item.statistic,
        "value": item.value,
        "threshold": item.threshold,
        "p_value": item.p_value,
        "topic": item.source.topic,
        "partition": item.source.partition,
        "since_offset": item.since_offset,
        "since_time": item.since_time,
        "detected_offset": item.detected_offset,
        "time": item.time,
        "edges": list(item.edges),
        "labels": list(item.labels),
        "reference": list(item.reference),
        "current": list(item.current),
        "message": item.message,
    }


def _drift_from(fields: Fields, value: bytes, stamp: Stamp) -> Drift:
    plain = {name: fields[name] for name in fields.keys() - {*_HISTOGRAMS, "topic", "partition"}}
    histograms: Fields = {name: tuple(fields[name]) for name in _HISTOGRAMS}
    return Drift(**plain, **histograms, source=stamp.source, seq=stamp.seq)


def _alert_to(item: Alert) -> AvroRecord:
    return {
        "id": item.id,
        "incident": item.incident,
        "status": item.status,
        "rule": item.rule,
        "kind": item.kind,
        "severity": item.severity,
        "subject": item.subject,
        "segment": item.segment,
        "time": item.time,
        "title": item.title,
        "text": item.text,
        "values": item.values,
        "level": item.level,
        "suppressed": item.suppressed,
        "author": item.author,
        "note": item.note,
        "subscriptions": list(item.subscriptions),
        "topic": item.source.topic,
        "partition": item.source.partition,
        "position": item.source.position,
    }


def _alert_from(fields: Fields, value: bytes, stamp: Stamp) -> Alert:
    plain = {name: fields[name] for name in fields.keys() - {"subscriptions", "topic", "partition", "position"}}
    return Alert(
        **plain,
        subscriptions=tuple(fields["subscriptions"]),
        source=Source(fields["topic"], fields["partition"], fields["position"]),
        seq=stamp.seq,
    )


def _alert_command_to(item: AlertCommand) -> AvroRecord:
    return {
        "id": item.id,
        "action": item.action,
        "time": item.time,
        "author": item.author,
        "alert": item.alert,
        "note": item.note,
        "subscription": item.subscription,
        "channel": item.channel,
        "url": item.url,
        "secret": item.secret,
        "min_severity": item.min_severity,
        "segments": list(item.segments),
        "rules": list(item.rules),
    }


def _alert_command_from(fields: Fields, value: bytes, stamp: Stamp) -> AlertCommand:
    plain = {name: fields[name] for name in fields.keys() - {"segments", "rules"}}
    return AlertCommand(
        **plain,
        segments=tuple(fields["segments"]),
        rules=tuple(fields["rules"]),
        source=stamp.source,
        seq=stamp.seq,
    )


FIXED_RECORDS: Final = (
    FixedRecord("dead_letter", DeadLetter, _dead_letter_to, _dead_letter_from),
    FixedRecord("prediction", Prediction, _prediction_to, _prediction_from),
    FixedRecord("example", Example, _example_to, _example_from),
    FixedRecord("evaluation", Evaluation, _evaluation_to, _evaluation_from),
    FixedRecord("model_version", ModelVersion, _model_version_to, _model_version_from),
    FixedRecord("model_alias", ModelAlias, _model_alias_to, _model_alias_from),
    FixedRecord("drift", Drift, _drift_to, _drift_from),
    FixedRecord("alert", Alert, _alert_to, _alert_from),
    FixedRecord("alert_command", AlertCommand, _alert_command_to, _alert_command_from),
    FixedRecord("progress", Progress, _progress_to, _progress_from),
)
"""Every fixed record type."""
