"""One item of every record type, a pipeline's schemas, and codecs for them."""

from __future__ import annotations

import schemas
from riverrun.records.avro import AvroRecord
from riverrun.records.codecs import Codecs
from riverrun.records.definition import PipelineSchemas, StreamSchema
from riverrun.records.ids import Entry, ManifestIds
from riverrun.records.items import (
    Alert,
    AlertCommand,
    DeadLetter,
    Drift,
    Evaluation,
    Event,
    Example,
    ForeignRead,
    InputPosition,
    Item,
    ModelAlias,
    ModelScore,
    ModelVersion,
    Prediction,
    Progress,
    Source,
    Vector,
)
from riverrun.records.vector_schema import FeatureType, VectorSchema

FEATURES: dict[str, FeatureType] = {
    "hour": "long",
    "delay": "double",
    "carrier": "string",
    "late": "boolean",
    "sketch": "bytes",
}
PARCEL: AvroRecord = {
    "type": "record",
    "namespace": "made",
    "name": "Parcel",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "number", "type": "int"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "weight", "type": ["null", "double"], "default": None},
    ],
}
SCHEMAS = PipelineSchemas(
    "golden",
    (StreamSchema("parcels", "parcels", PARCEL, id="id", key="number", time="at"),),
    VectorSchema.generate("golden", FEATURES),
)
SOURCE = Source("golden.events", 2, 40)
WRITER = 2


def ids_of(*entries: Entry) -> ManifestIds:
    """Return schema ids as a pipeline has them that starts for the first time."""
    fixed = [Entry(line.subject, line.id, line.schema) for line in schemas.manifest()]
    return ManifestIds(fixed, entries, lambda entry: None)


def codecs_of(*entries: Entry) -> Codecs:
    """Return the pipeline's codecs."""
    return Codecs(SCHEMAS, ids_of(*entries))


SCORES = (ModelScore("logistic", 1_000, 0.25), ModelScore("tree", 999, 0.5))
VECTOR = Vector(
    "p-1",
    "17",
    1_735_689_600_000,
    40,
    (13, -2.5, "Zürich", True, b"\x00\xff"),
    (ForeignRead(1, "carrier", "swift", 12),),
    SOURCE,
)
EMPTY_VECTOR = Vector("p-2", "18", 0, 0, (None,) * len(FEATURES), (), SOURCE)
PREDICTION = Prediction("p-1", "17", 1_735_689_600_000, 40, SCORES, b"vector", SOURCE)

ITEMS: dict[str, Item | Progress] = {
    "dead_letter": DeadLetter(
        "rule", "too far", SOURCE, 1_735_689_600_001, b"17", b"\x00\x01", (("trace", b"t"), ("none", None))
    ),
    "dead_letter_bare": DeadLetter("empty", "the record has no value", SOURCE, -1, None, None, ()),
    "vector": VECTOR,
    "vector_of_nulls": EMPTY_VECTOR,
    "prediction": PREDICTION,
    "example_labelled": Example(
        "p-1", "17", 1_735_689_600_000, "labelled", 1.0, 1_735_700_000_000, SCORES, b"vector", SOURCE
    ),
    "example_defaulted": Example("p-1", "17", 0, "defaulted", 0.0, 1, (), b"", SOURCE),
    "example_expired": Example("p-1", "17", 0, "expired", None, 1, (), b"", SOURCE),
    "example_revised": Example("p-1", "17", 0, "revised", -1.5, 1, (), b"", SOURCE),
    "evaluation": Evaluation(
        "logistic", 1_000, 1_735_700_000_000, 990, {"auc": 0.75, "log_loss": 0.5}, {"auc": 0.8125}, SOURCE
    ),
    "model_version": ModelVersion(
        model="logistic",
        position=10_000,
        time=1_735_700_000_000,
        parent=-1,
        uri="store/golden/logistic/10000.model",
        digest="d" * 64,
        signature="c2lnbmVk",
        code_hash="0123456789abcdef",
        feature_set="fedcba9876543210",
        libraries={"river": "0.22.0"},
        seed=7,
        metrics={"auc": 0.75},
        source=SOURCE,
    ),
    "model_alias": ModelAlias("champion", "logistic", "pipeline", "declared in the pipeline file", SOURCE),
    "drift_of_number": Drift(
        id="d" * 32,
        kind="input",
        severity="critical",
        subject="delay",
        segment="carrier=UA",
        statistic="psi",
        value=0.75,
        threshold=0.25,
        p_value=1e-12,
        since_offset=31,
        since_time=1_735_600_000_000,
        detected_offset=40,
        time=1_735_689_600_000,
        edges=(-2.5, 0.0, 7.25),
        labels=(),
        reference=(250, 250, 250, 250),
        current=(0, 10, 20, 70),
        message="delay moved",
        source=SOURCE,
    ),
    "drift_of_category": Drift(
        id="e" * 32,
        kind="label-starvation",
        severity="warning",
        subject="label",
        segment="",
        statistic="share",
        value=0.5,
        threshold=0.1,
        p_value=None,
        since_offset=31,
        since_time=0,
        detected_offset=40,
        time=1,
        edges=(),
        labels=("labelled", "expired"),
        reference=(99, 1),
        current=(5, 5),
        message="",
        source=SOURCE,
    ),
    "alert": Alert(
        id="a" * 32,
        incident="b" * 32,
        status="escalated",
        rule="quality",
        kind="quality",
        severity="critical",
        subject="logistic",
        time=1_735_700_000_000,
        title="ROCAUC of logistic is 0.61",
        source=Source("golden.evaluations", 2, 40),
        text="For longer than 6h.",
        segment={"carrier": "UA"},
        values={"value": 0.61, "limit": 0.7},
        level=1,
        suppressed=3,
        author="ada",
        note="Being looked at.",
        subscriptions=("ops", "pager"),
    ),
    "alert_command": AlertCommand(
        id="c-1",
        action="subscribe",
        time=1_735_700_000_000,
        author="ada",
        subscription="ops",
        channel="webhook",
        url="https://ops.example.com/alerts",
        secret="OPS",
        min_severity="warning",
        segments=("carrier=UA",),
        rules=("quality",),
        source=SOURCE,
    ),
    "progress": Progress(
        "labels",
        2,
        (InputPosition("golden.events", 2, 2, 41, 39), InputPosition("parcels", 2, -1, 7, 7)),
        {"golden.examples": 5},
        {"labelled": 3},
        1_735_700_000_000,
        {"p50": 1.5},
        "riverrun.golden.labels.2",
        {"redis_away": 1_735_700_000_250},
    ),
}
"""Items by the names of their golden files."""

EVENT = Event("parcels", "p-1", "17", 5, {"id": "p-1", "number": 17, "at": 5, "weight": None}, b"", SOURCE)
