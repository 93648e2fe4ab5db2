"""A pipeline's label, compiled."""

from __future__ import annotations

from riverrun.pipeline import Label, Model, Pipeline, Stream
from services.labels.rule import LabelRule


def schema(name: str) -> dict[str, object]:
    fields: list[dict[str, object]] = [
        {"name": "id", "type": "string"},
        {"name": "flight_id", "type": "string"},
        {"name": "tail", "type": "string"},
        {"name": "at", "type": "long"},
        {"name": "delay", "type": ["null", "double"]},
    ]
    return {"type": "record", "name": name, "fields": fields}


def pipeline(label: str = "condition", key: str = "flight_id", otherwise: bool | float | None = None) -> Pipeline:
    scheduled = Stream("flights.scheduled", schema=schema("Scheduled"), key="flight_id", time="at", id="id")
    arrived = Stream("flights.arrived", schema=schema("Arrived"), key=key, time="at", id="id")
    value = arrived.delay > 15 if label == "condition" else arrived.delay / 60
    return Pipeline(
        name="flight-delay",
        predict_on=scheduled,
        features={"at": scheduled.at},
        label=Label(value, join="flight_id", wait="24h", otherwise=otherwise),
        champion=Model("constant", object),
    )


def test_a_condition_becomes_one_or_zero() -> None:
    """Classification labels are 1.0 and 0.0; a missing field gives none."""
    rule = LabelRule.of(pipeline(otherwise=False))
    assert [rule.label({"delay": delay}) for delay in (16.0, 15.0, None)] == [1.0, 0.0, None]
    assert (rule.stream, rule.wait_ms, rule.otherwise, rule.recurring) == ("arrived", 86_400_000, 0.0, False)


def test_a_number_stays_one() -> None:
    """Regression labels are numbers, the default too; without a default there is none."""
    assert LabelRule.of(pipeline("number")).label({"delay": 90.0}) == 1.5
    assert LabelRule.of(pipeline("number", otherwise=-2)).otherwise == -2.0
    assert LabelRule.of(pipeline("number")).otherwise is None


def test_the_key_is_used_where_it_is_the_join_field() -> None:
    """An event's key is its join field as text already; only another field is read from the event."""
    assert LabelRule.of(pipeline()).join_field is None
    assert LabelRule.of(pipeline(key="tail")).join_field == "flight_id"
