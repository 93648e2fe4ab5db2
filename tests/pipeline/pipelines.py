"""A pipeline file that is right, and what it takes to make it wrong in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from riverrun.pipeline.check import check_file
from riverrun.pipeline.problems import Problem

RIGHT: Final = '''"""Will an order be sent back?"""

from river import dummy

from riverrun import Label, Model, Pipeline, Stream, count, decayed_mean, last, mean, quantile, sum_
from riverrun.pipeline import hour_of


def record(name, **fields):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields.items()]}


class Half:
    """A model that says one half, and counts."""

    def __init__(self):
        self.seen = 0

    def learn_one(self, x, y):
        self.seen += 1

    def predict_proba_one(self, x):
        return {True: 0.5, False: 0.5}


class Loss:
    """A metric that counts."""

    def __init__(self):
        self.n = 0

    def update(self, y_true, y_pred):
        self.n += 1

    def get(self):
        return float(self.n)


ORDER = record(
    "Order",
    event="string",
    order="string",
    at="long",
    customer="string",
    price="double",
    gift=["null", "boolean"],
    note=["null", "bytes"],
)
RETURN = record(
    "Return",
    event="string",
    order="string",
    at="long",
    customer="string",
    reason=["null", "string"],
    refund="double",
)
VISIT = record(
    "Visit",
    event="string",
    order="string",
    at="long",
    customer="string",
    pages="long",
)
orders = Stream(
    "shop.orders",
    schema=ORDER,
    key="order",
    time="at",
    id="event",
)
returns = Stream(
    "shop.returns",
    schema=RETURN,
    key="order",
    time="at",
    id="event",
)
visits = Stream("shop.visits", schema=VISIT, key="order", time="at", id="event", name="visits")

pipeline = Pipeline(
    name="returned",
    predict_on=orders,
    rules=[
        orders.price > 0,
        returns.refund >= 0,
    ],
    features={
        "price": orders.price,
        "hour": hour_of(orders.at),
        "gift": orders.gift.fallback(False),
        "visits": count(visits).by("customer").over("1h"),
        "pages": mean(visits.pages).by("customer").over("2h", panes=4).fallback(0.0),
        "refunds": sum_(returns.refund).by("customer").over("30d", panes=10),
        "typical": quantile(returns.refund, 0.5).over("1d").fallback(0.0),
        "trend": decayed_mean(returns.refund, half_life="1d").fallback(0.0),
        "reason": last(returns.reason).by("customer").over("30d", panes=10).fallback("none"),
    },
    label=Label(
        returns.refund > 0,
        join="order",
        wait="14d",
        otherwise=False,
    ),
    champion=Model("half", Half),
    challengers=[
        Model("prior", lambda: dummy.PriorClassifier()),
    ],
    metrics=[
        Loss,
    ],
)
'''


def edited(*edits: tuple[str, str]) -> str:
    """Return the right file with some of its text replaced; each must stand in it exactly once."""
    text = RIGHT
    for was, now in edits:
        assert text.count(was) == 1, was
        text = text.replace(was, now)
    return text


def checked(text: str, folder: Path) -> list[Problem]:
    """Check a pipeline file of this text."""
    file = folder / "made.py"
    file.write_text(text, encoding="utf-8")
    return check_file(file)


def line_of(text: str, part: str) -> int:
    """Return the line on which a part of a text begins."""
    assert text.count(part) == 1, part
    return text[: text.index(part)].count("\n") + 1
