"""What the tests of the features share: two streams, a feature of every aggregate, and a strategy for events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from hypothesis import strategies as st

from riverrun.features import FeaturePlan, FeatureTable
from riverrun.pipeline import (
    Aggregate,
    Expression,
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
from riverrun.records.items import FieldValue
from riverrun.runtime.packed import pack

CUSTOMERS: Final = ("c0", "c1", "c2")
PARTITIONS: Final = len(CUSTOMERS)


def _stream(topic: str, *fields: dict[str, object]) -> Stream:
    schema: dict[str, object] = {
        "type": "record",
        "name": topic.title(),
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "at", "type": "long"},
            {"name": "customer", "type": "string"},
            {"name": "item", "type": ["null", "string"]},
            *fields,
        ],
    }
    return Stream(f"shop.{topic}", schema=schema, key="customer", time="at", id="id")


ORDERS: Final = _stream("orders", {"name": "shop", "type": "string"}, {"name": "amount", "type": ["null", "double"]})
VISITS: Final = _stream(
    "visits",
    {"name": "seller", "type": "string"},
    {"name": "amount", "type": ["null", "double"]},
    {"name": "pages", "type": ["null", "long"]},
    {"name": "shop", "type": "string"},
)

FEATURES: Final[Mapping[str, Aggregate]] = {
    "count": count(VISITS).by("shop").over("12ms", panes=4),
    "count_priced": count(VISITS.amount).by("shop").over("12ms", panes=4),
    "sum": sum_(VISITS.amount).by("shop").over("12ms", panes=4),
    "mean": mean(VISITS.amount).by("shop").over("12ms", panes=4),
    "variance": variance(VISITS.amount).by("shop").over("12ms", panes=4),
    "min": min_(VISITS.pages).by("shop").over("12ms", panes=4),
    "max": max_(VISITS.amount).by("shop").over("12ms", panes=4),
    "last": last(VISITS.item).by("shop").over("12ms", panes=4),
    "distinct": distinct(VISITS.item).by("shop").over("12ms", panes=4),
    "median": quantile(VISITS.amount, 0.5).by("shop").over("12ms", panes=4),
    "share": mean(VISITS.amount > 0).by("shop").over("60ms", panes=3),
    "long_last": last(VISITS.pages * 2).by("shop").over("60ms", panes=3),
    "sold": sum_(VISITS.pages).by(seller="shop").over("7ms", panes=1),
    "everywhere": max_(VISITS.pages).over("40ms", panes=8),
    "pair": count(VISITS).by("shop", "item").over("30ms", panes=5),
    "own": count(ORDERS).by("shop").over("20ms", panes=5),
    "customer_mean": mean(VISITS.amount).by("customer").over("24ms", panes=2),
    "decayed": decayed_mean(VISITS.amount, half_life="5ms").by("shop"),
}
"""All functions, several entities and windows, one of one pane, and one group that includes the key."""

APPROXIMATE: Final = frozenset({"variance", "decayed"})
"""What is not exact on the amounts below, whose sums are."""


class Happening(NamedTuple):
    """An event of a test: its stream's name, its time in milliseconds, and its fields."""

    stream: str
    time: int
    fields: dict[str, FieldValue]

    @property
    def partition(self) -> int:
        return CUSTOMERS.index(str(self.fields["customer"]))


_AMOUNTS: Final = st.none() | st.integers(-40, 40).map(lambda number: number / 4)
_FIELDS: Final = st.fixed_dictionaries(
    {
        "customer": st.sampled_from(CUSTOMERS),
        "item": st.none() | st.sampled_from(["", "x", "y|", "z\\"]),
        "shop": st.sampled_from(["s0", "s1"]),
        "seller": st.sampled_from(["s0", "s1"]),
        "amount": _AMOUNTS,
        "pages": st.none() | st.integers(-3, 9),
    }
)
_STEPS: Final = st.tuples(
    st.sampled_from(["orders", "visits", "visits"]),
    st.sampled_from([0, 0, 1, 2, 3, 5, 12, 40, 700]),
    st.sampled_from([0, 0, 0, 0, 1, 4, 12, 30, 130]),
    _FIELDS,
)


@st.composite
def happenings(draw: st.DrawFn, max_size: int = 30) -> list[Happening]:
    """Events whose time mostly goes on, with ties, late ones, missing values and gaps of many windows."""
    now = 1_000
    found = []
    for stream, gap, lateness, fields in draw(st.lists(_STEPS, min_size=1, max_size=max_size)):
        now += gap
        found.append(Happening(stream, now - lateness, dict(fields)))
    return found


def plan_of(features: Mapping[str, Expression] = FEATURES) -> FeaturePlan:
    return FeaturePlan.of(ORDERS, features)


def copied(plan: FeaturePlan, table: FeatureTable, partition: int = 0) -> FeatureTable:
    """Return a table that was loaded from all that another stores."""
    fresh = FeatureTable(plan, partition)
    for number in range(len(plan.groups)):
        fresh.load(number, {name: pack(position, value) for name, position, value in table.entries(number)})
    fresh.watermark = table.watermark
    return fresh
