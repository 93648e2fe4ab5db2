"""A small shop, as a pipeline with every aggregate, every way for a prediction to end, and messages that go wrong."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
from river import compose, linear_model, metrics, naive_bayes, preprocessing

from riverrun import (
    Label,
    Model,
    Pipeline,
    Stream,
    count,
    decayed_mean,
    distinct,
    last,
    max_,
    mean,
    min_,
    quantile,
    sum_,
    variance,
)
from riverrun.models.constant_imputer import ConstantImputer

START = 1_700_000_000_000
MINUTE = 60_000


def _schema(name: str, **fields: Any) -> dict[str, Any]:
    rows = [{"name": each, "type": kind} for each, kind in fields.items()]
    return {"type": "record", "namespace": "shop", "name": name, "fields": rows}


def _logistic() -> compose.Pipeline:
    numbers = ("amount", "pages", "mean_pages", "spread", "least", "most", "last_late", "median", "recent", "share")
    return (
        ConstantImputer(dict.fromkeys((*numbers, "everywhere"), 0.0))
        | preprocessing.StandardScaler()
        | linear_model.LogisticRegression()
    )


class Message(NamedTuple):
    """What a producer sends."""

    topic: str
    key: bytes
    value: bytes
    headers: dict[str, str | bytes | None]


def make_pipeline(name: str = "shop") -> Pipeline:
    """Build the pipeline; its name prefixes the producers' topics too."""
    ordered = Stream(
        f"{name}.ordered",
        schema=_schema("Ordered", id="string", order="string", city="string", amount="double", at="long"),
        key="order",
        time="at",
        id="id",
        format="avro",
    )
    paid = Stream(
        f"{name}.paid",
        schema=_schema("Paid", id="string", order="string", city="string", late=["null", "long"], at="long"),
        key="order",
        time="at",
        id="id",
        format="avro",
    )
    visited = Stream(
        f"{name}.visited",
        schema=_schema("Visited", id="long", city="string", pages="double", at="long"),
        key="city",
        time="at",
        id="id",
        format="json",
    )
    return Pipeline(
        name=name,
        predict_on=ordered,
        features={
            "amount": ordered.amount,
            "orders": count(ordered).by("city").over("1h", panes=4),
            "pages": sum_(visited.pages).by("city").over("1h", panes=6),
            "mean_pages": mean(visited.pages).by("city").over("2h", panes=6),
            "spread": variance(visited.pages).by("city").over("2h", panes=6),
            "least": min_(visited.pages).by("city").over("2h", panes=6),
            "most": max_(visited.pages).by("city").over("2h", panes=6),
            "last_late": last(paid.late).by("city").over("3h", panes=3),
            "payers": distinct(paid.order).by("city").over("6h", panes=3),
            "median": quantile(ordered.amount, 0.5).by("city").over("6h", panes=3),
            "recent": decayed_mean(ordered.amount, "30m").by("city"),
            "everywhere": mean(ordered.amount).over("1h", panes=4),
            "share": sum_(visited.pages).by("city").over("1h", panes=6) / count(ordered).by("city").over("1h", panes=4),
        },
        label=Label(paid.late > 5, join="order", wait="2h"),
        champion=Model("logistic", _logistic),
        challengers=[Model("bayes", naive_bayes.GaussianNB)],
        rules=[ordered.amount >= 0.0],
        metrics=[metrics.LogLoss, metrics.ROCAUC],
        snapshot_every=100,
    )


def encode(schema: Any, schema_id: int, record: dict[str, Any]) -> bytes:
    """Frame a record as producers do."""
    out = BytesIO()
    out.write(struct.pack(">BI", 0, schema_id))
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(schema)), record)
    return out.getvalue()


def make_messages(pipeline: Pipeline, ids: dict[str, int], orders: int, seed: int = 7) -> Iterator[Message]:
    """Make orders, payments (some twice, some before their order, some never) and visits; repeat and break a few."""
    rng = random.Random(seed)
    streams = {stream.name: stream for stream in pipeline.streams}
    rows: list[tuple[int, str, dict[str, Any]]] = []
    for number in range(orders):
        at = START + number * MINUTE + rng.randrange(MINUTE)
        city = rng.choice(["Ulm", "Bonn", "Köln|Süd", "Trier"])
        order = f"o{number}"
        rows.append((at, "ordered", {"order": order, "city": city, "amount": round(rng.expovariate(0.02), 2)}))
        if rng.random() < 0.8:
            delay = rng.randrange(-10, 150) * MINUTE
            late = rng.choice([None, *range(12)])
            rows.append((at + delay, "paid", {"order": order, "city": city, "late": late}))
            if rng.random() < 0.15:
                later = {"order": order, "city": city, "late": rng.randrange(12)}
                rows.append((at + delay + rng.randrange(60) * MINUTE, "paid", later))
        rows.extend(
            (at + rng.randrange(-90, 10) * MINUTE, "visited", {"city": city, "pages": float(rng.randrange(-3, 9))})
            for _ in range(rng.randrange(3))
        )
    rows.sort(key=lambda row: row[0])
    for number, (at, name, fields) in enumerate(rows):
        stream = streams[name]
        shown = at - rng.randrange(20) * MINUTE if rng.random() < 0.02 else at
        record = {"id": number if name == "visited" else f"{name}-{number}", **fields, "at": shown}
        if name == "visited":
            value = json.dumps(record, ensure_ascii=False).encode()
        else:
            value = encode(stream.schema.avro, ids[stream.topic], record)
        key = str(record[stream.key_field]).encode()
        yield Message(stream.topic, key, value, {})
        if rng.random() < 0.03:
            yield Message(stream.topic, key, value, {"again": b"1"})
        if rng.random() < 0.03:
            yield Message(stream.topic, key, value[:-3], {"trace": b"\x00\xff", "empty": None})
        if name == "ordered" and rng.random() < 0.02:
            broken = {**record, "id": f"broken-{number}", "amount": -1.0}
            yield Message(stream.topic, key, encode(stream.schema.avro, ids[stream.topic], broken), {})
