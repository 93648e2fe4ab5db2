"""A pipeline of twelve features and a logistic regression, as small as such a thing can be."""

from __future__ import annotations

from river import linear_model

from riverrun import Label, Model, Pipeline, Stream, count, last, max_, mean

_TIME = {"type": "long", "logicalType": "timestamp-millis"}


def _stream(topic: str, *numbers: str) -> Stream:
    texts = [{"name": name, "type": "string"} for name in ("id", "user", "shop")]
    values = [{"name": name, "type": "double"} for name in numbers]
    fields = [*texts, {"name": "at", "type": _TIME}, *values]
    schema = {"type": "record", "name": topic.rpartition(".")[2].title(), "fields": fields}
    return Stream(topic, schema=schema, key="user", time="at", id="id", max_future=None)


bought = _stream("gateway-bench.bought", "amount", "items", "discount", "distance")
returned = _stream("gateway-bench.returned", "share")


def logistic_regression() -> linear_model.LogisticRegression:
    """Return the model."""
    return linear_model.LogisticRegression()


pipeline = Pipeline(
    name="gateway-bench",
    predict_on=bought,
    features={
        "amount": bought.amount,
        "items": bought["items"],
        "discount": bought.discount,
        "distance": bought.distance,
        "user_amount_1h": mean(bought.amount).by("user").over("1h").fallback(0.0),
        "user_count_1h": count(bought).by("user").over("1h"),
        "user_max_1d": max_(bought.amount).by("user").over("24h").fallback(0.0),
        "user_last_1d": last(bought.amount).by("user").over("24h").fallback(0.0),
        "shop_amount_1h": mean(bought.amount).by("shop").over("1h").fallback(0.0),
        "shop_count_1h": count(bought).by("shop").over("1h"),
        "shop_amount_1d": mean(bought.amount).by("shop").over("24h").fallback(0.0),
        "shop_max_1d": max_(bought.amount).by("shop").over("24h").fallback(0.0),
    },
    label=Label(returned.share > 0.5, join="user", wait="1h", otherwise=False),
    champion=Model("line", logistic_regression),
    snapshot_every=100,
)
