"""The pipeline of the fault tests: small and quick, yet every kind of fold is in it.

Each test runs a copy of this file. The copy's folder gives the pipeline its name, and so its topics.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from river import compose, linear_model, preprocessing, tree

from riverrun import Drift, Label, Model, Pipeline, Stream, count, hour_of, last, log1p, mean
from riverrun.pipeline.alerts import CounterRule

NAME: Final = Path(__file__).parent.name
_TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}


def _stream(name: str, fields: dict[str, object]) -> Stream:
    common: dict[str, object] = {"event_id": "string", "parcel_id": "string", "at": _TIME, "carrier": "string"}
    schema = {
        "type": "record",
        "name": name.capitalize(),
        "fields": [{"name": field, "type": kind} for field, kind in {**common, **fields}.items()],
    }
    return Stream(f"{NAME}-raw.{name}", schema=schema, key="parcel_id", time="at", id="event_id")


scanned = _stream("scanned", {"delay": "double"})
shipped = _stream("shipped", {"distance": "double", "weight": ["null", "double"]})
delivered = _stream("delivered", {"hours": "double"})


def logistic_regression() -> compose.Pipeline:
    """Build the champion: text becomes indicators, numbers are scaled."""
    encode = compose.Pipeline(compose.SelectType(str), preprocessing.OneHotEncoder())
    scale = compose.Pipeline(compose.SelectType(int, float), preprocessing.StandardScaler())
    return compose.Pipeline(compose.TransformerUnion(encode, scale), linear_model.LogisticRegression())


pipeline = Pipeline(
    name=NAME,
    predict_on=shipped,
    rules=[shipped.distance.between(0, 20_000), delivered.hours >= 0],
    features={
        "carrier": shipped.carrier,
        "distance": log1p(shipped.distance).fallback(0.0),
        "weight": shipped.weight.fallback(1.0),
        "hour": hour_of(shipped.at),
        "scans": count(scanned).by("parcel_id").over("24h"),
        "delay": last(scanned.delay).by("parcel_id").over("24h").fallback(0.0),
        "carrier_hours": mean(delivered.hours).by("carrier").over("24h").fallback(24.0),
        "carrier_parcels": count(shipped).by("carrier").over("1h"),
    },
    label=Label(delivered.hours > 24, join="parcel_id", wait="3d", otherwise=True),
    champion=Model("logistic", logistic_regression),
    challengers=[Model("tree", lambda: tree.HoeffdingTreeClassifier(grace_period=50))],
    # Every time that there is something to tell it is told: so what is due is plain.
    alerts=[CounterRule(name="duplicates", stage="ingest", counter="duplicates", cooldown="0s", burst=1_000_000)],
    # Event time runs some 9,000 times as fast as the clock. While one of three brokers is cut off a stream that it led
    # comes late by a minute, and so by days: what is sent again must be known that long.
    dedupe="20d",
    # Small windows: something is found soon, for the load has seasons.
    drift=Drift(segments=["carrier"], reference=200, window=100, warm_up=0),
    snapshot_every=80,
)
