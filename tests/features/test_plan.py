"""Compiling features into groups, rings and slots."""

from __future__ import annotations

import pytest

from riverrun.features import FeaturePlan, FeaturePlanError
from riverrun.features.plan import DECAY_HALF_LIVES
from riverrun.pipeline import Aggregate, count, decayed_mean, distinct, max_, mean, quantile, sum_
from riverrun.records.items import FieldValue
from tests.features.made import FEATURES, ORDERS, VISITS, plan_of


def test_aggregates_that_say_the_same_are_one() -> None:
    """However many features use it, a partial is kept and folded once."""
    plan = plan_of(
        {
            "mean": mean(VISITS.amount).by("shop").over("12ms"),
            "twice": mean(VISITS.amount).by("shop").over("12ms") * 2,
            "other": mean(VISITS.amount).by("shop").over("24ms"),
        }
    )
    (group,) = plan.groups
    assert [len(layout.partials) for layout in group.layouts] == [1, 1]
    assert len(plan.empty) == 2
    assert len(plan.streams["visits"].values) == 1, "a value is taken from an event once"


def test_aggregates_of_one_entity_stream_and_window_share_a_ring() -> None:
    """Functions do not matter for that, the number of panes does."""
    plan = plan_of(
        {
            "a": mean(VISITS.amount).by("shop").over("12ms"),
            "b": distinct(VISITS.item).by("shop").over("12ms"),
            "c": count(VISITS).by("shop").over("12ms", panes=4),
            "d": count(ORDERS).by("shop").over("12ms"),
            "e": count(VISITS).by("customer").over("12ms"),
        }
    )
    assert {group.id: sorted(len(layout.partials) for layout in group.layouts) for group in plan.groups} == {
        "shop": [1, 1, 2],
        "customer": [1],
    }


def test_stored_partials_survive_another_order_and_other_names() -> None:
    """A plan's fingerprint is that of what is stored: names and order of features are not."""
    plan = plan_of()
    shuffled = plan_of({f"renamed_{name}": FEATURES[name] for name in reversed(list(FEATURES))})
    assert shuffled.fingerprint == plan.fingerprint
    assert [group.fingerprint for group in shuffled.groups] == [group.fingerprint for group in plan.groups]
    fewer = plan_of({name: FEATURES[name] for name in list(FEATURES)[1:]})
    assert fewer.fingerprint != plan.fingerprint


def test_the_order_in_which_fields_of_an_entity_are_named_does_not_matter() -> None:
    """``by("a", "b")`` and ``by("b", "a")`` are the same entities, stored under the same names."""
    plan = plan_of(
        {
            "one": count(VISITS).by("shop", "item").over("12ms"),
            "other": sum_(VISITS.pages).by("item", "shop").over("12ms"),
        }
    )
    (group,) = plan.groups
    assert group.entity({"item": "x", "shop": "s"}) == "x|s"
    assert group.id == "item+shop"


def test_fields_of_other_names_are_paired() -> None:
    """The aggregated stream's entity is named by its own field, the event to predict on by the other."""
    plan = plan_of({"sold": sum_(VISITS.pages).by(seller="shop").over("12ms")})
    (group,) = plan.groups
    (part,) = plan.streams["visits"].groups
    row: dict[str, FieldValue] = {"seller": "the seller", "shop": "the shop"}
    assert (group.id, group.entity(row), part.entity(row)) == ("seller=shop", "the shop", "the seller")


@pytest.mark.parametrize(
    ("aggregate", "local"),
    [
        (count(VISITS).by("customer").over("12ms"), True),
        (count(VISITS).by("shop", "customer").over("12ms"), True),
        (count(VISITS).by("shop").over("12ms"), False),
        (count(VISITS).over("12ms"), False),
        (count(VISITS).by(customer="item").over("12ms"), False),
        (count(VISITS).by(item="customer").over("12ms"), False),
    ],
)
def test_a_group_is_local_if_its_entity_includes_the_key_of_both_sides(aggregate: Aggregate, local: bool) -> None:
    """Only then are all events of an entity, and those to predict on, in one partition."""
    (group,) = plan_of({"a": aggregate}).groups
    assert group.is_local is local


def test_a_decayed_mean_has_a_window_of_many_half_lives() -> None:
    """What is older weighs less than a double can tell, so it can be forgotten like anything else."""
    (group,) = plan_of({"a": decayed_mean(VISITS.amount, half_life="5ms").by("shop")}).groups
    (layout,) = group.layouts
    assert layout.panes * layout.pane_ms == 5 * DECAY_HALF_LIVES
    assert 1.0 + 2.0**-DECAY_HALF_LIVES == 1.0


@pytest.mark.parametrize(
    ("aggregate", "says"),
    [
        (count(VISITS).by("shop"), "has no window"),
        (count(VISITS).over("10ms", panes=3), "cannot be divided into 3 panes"),
        (count(VISITS).over("10ms", panes=0), "cannot be divided into 0 panes"),
        (count(VISITS).over("2ms", panes=4), "cannot be divided into 4 panes"),
        (count(VISITS).over("100s", panes=20_000), "cannot be divided into 20000 panes"),
        (quantile(VISITS.amount, 1.5).over("12ms"), "has no sound q"),
        (quantile(VISITS.amount, float("nan")).over("12ms"), "has no sound q"),
        (decayed_mean(VISITS.amount, half_life="0ms"), "has no sound half_life_ms"),
    ],
)
def test_what_cannot_be_planned_is_told(aggregate: Aggregate, says: str) -> None:
    """The error names the aggregate and says what would do."""
    with pytest.raises(FeaturePlanError, match=says) as caught:
        FeaturePlan.of(ORDERS, {"a": aggregate})
    assert aggregate.function in caught.value.message
    assert caught.value.hint


def test_an_aggregate_of_a_condition_counts_it() -> None:
    """A sum of conditions is how many held, a mean their share; a maximum has a kind of its own."""
    plan = plan_of(
        {
            "held": sum_(VISITS.amount > 1).over("12ms"),
            "share": mean(VISITS.amount > 1).over("12ms"),
            "max": max_(VISITS.pages).over("12ms"),
        }
    )
    values = [value({"amount": 2.0, "pages": 3}) for value in plan.streams["visits"].values]
    assert sorted(map(repr, values)) == ["3", "True"]
