"""What the parts of a pipeline refuse at once, and what they know of themselves."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import Any

import pytest

from riverrun.pipeline import (
    DefinitionError,
    Expression,
    Label,
    Model,
    Pipeline,
    Stream,
    count,
    describe,
    fields_in,
    last,
    mean,
    minimum,
    quantile,
)
from riverrun.pipeline.expressions import as_expression
from tests.pipeline.made import SCHEMA, anything

THINGS = anything()
OTHERS = Stream("some.others", schema=SCHEMA, key="id", time="at", id="id", max_future=None)


class Half:
    """A model that says one half."""

    def learn_one(self, x: dict[str, object], y: object) -> None:
        """Learn nothing."""

    def predict_proba_one(self, x: dict[str, object]) -> dict[bool, float]:
        return {True: 0.5, False: 0.5}


SOUND: dict[str, Any] = {
    "name": "p",
    "predict_on": THINGS,
    "features": {"whole": THINGS.whole},
    "label": Label(OTHERS.flag, join="id", wait="1h"),
    "champion": Model("half", Half),
}


def pipeline(**settings: object) -> Pipeline:
    """Return a sound pipeline with some settings changed."""
    return Pipeline(**{**SOUND, **settings})


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("Pipeline(**{**SOUND, 'name': 7})", "bad-pipeline", "name= of a pipeline is a str, not 7"),
        ("Pipeline(**{**SOUND, 'predict_on': 'things'})", "bad-pipeline", "predict_on= of a pipeline is a Stream"),
        ("Pipeline(**{**SOUND, 'label': True})", "bad-pipeline", "label= of a pipeline is a Label"),
        ("Pipeline(**{**SOUND, 'champion': Half})", "bad-pipeline", "champion= of a pipeline is a Model"),
        (
            "Pipeline(**{**SOUND, 'challengers': [Half]})",
            "bad-pipeline",
            "challengers= of a pipeline is a list of Model",
        ),
        ("Pipeline(**{**SOUND, 'streams': ['a']})", "bad-pipeline", "streams= of a pipeline is a list of Stream"),
        ("Pipeline(**{**SOUND, 'features': [THINGS.whole]})", "bad-pipeline", "a dict of expressions"),
        ("Pipeline(**{**SOUND, 'snapshot_every': True})", "bad-pipeline", "snapshot_every= is a count, not True"),
        ("Pipeline(**{**SOUND, 'dedupe': 'soon'})", "bad-duration", "'soon'"),
        ("Label(True, join='id', wait='1h')", "bad-label", "not True"),
        ("Label(THINGS.flag, join=3, wait='1h')", "bad-label", "join= of a label"),
        ("Label(THINGS.flag, join='id', wait='1h', otherwise='no')", "bad-label", "otherwise= of a label"),
        ("Model(7, Half)", "bad-model", "a model's name is a text"),
        ("Model('half', Half())", "bad-model", "the factory of model 'half' cannot be called"),
        ("Model('half', Half, seed=1.5)", "bad-model", "the seed of model 'half'"),
        ("Stream('', schema=SCHEMA, key='id', time='at', id='id')", "bad-stream", "topic= of a stream"),
        ("Stream('t', schema=SCHEMA, key=7, time='at', id='id')", "bad-stream", "key= of a stream"),
        ("Stream('t', schema=7, key='id', time='at', id='id')", "bad-stream", "schema= of a stream"),
        ("Stream('t', schema=SCHEMA, key='id', time='at', id='id', format='xml')", "bad-stream", "'xml'"),
        ("Stream('t', schema=SCHEMA, key='id', time='at')", "bad-stream", "a stream needs id="),
        ("Stream('t', schema=SCHEMA, key='id', tiem='at', id='id')", "bad-stream", "no setting 'tiem'"),
        ("THINGS[0]", "bad-stream", "a field's name is a text, not 0"),
        ("THINGS.text.is_in('abc')", "bad-literal", "single characters"),
        ("THINGS.whole + 2**63", "bad-literal", "does not fit into 64 bits"),
        ("THINGS.real.between(0, float('inf'))", "bad-literal", "inf is not finite"),
        ("THINGS.text.fallback(None)", "bad-literal", "None"),
        ("THINGS.whole + []", "bad-literal", "can be no part of an expression"),
        ("not THINGS.flag", "expression-as-bool", "neither true nor false"),
        ("3 in [THINGS.whole]", "expression-as-bool", "neither true nor false"),
        ("mean(as_expression(3))", "bad-aggregate", "mean aggregates a constant"),
        ("mean('delay')", "bad-aggregate", "mean aggregates a field, not 'delay'"),
        ("count(THINGS).by('id', 3)", "bad-aggregate", "not 3"),
        ("count(THINGS).by(id=OTHERS.id)", "bad-aggregate", "the field others.id itself"),
        ("count(THINGS).over('-1h')", "bad-duration", "'-1h'"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(text: str, code: str, says: str) -> None:
    """By a code and in words, with the file and the line of the mistake."""
    with pytest.raises(DefinitionError) as caught:
        eval(compile(text, "pipeline.py", "eval"))
    assert (caught.value.code, says in caught.value.message) == (code, True), caught.value.message
    assert caught.value.location == ("pipeline.py", 1)


def test_a_pipeline_knows_its_streams() -> None:
    """Those of features, aggregates, label and rules, each once, by name; and others that it is told to read."""
    third = Stream("c.third", schema=SCHEMA, key="id", time="at", id="id")
    fourth = Stream("a.fourth", schema=SCHEMA, key="id", time="at", id="id")
    made = pipeline(features={"n": count(third).by("id").over("1h")}, streams=[fourth], rules=[THINGS.whole > 0])
    assert [stream.name for stream in made.streams] == ["fourth", "others", "things", "third"]
    assert made.stream_named("third") is third
    assert made.label_stream is OTHERS
    with pytest.raises(KeyError):
        made.stream_named("fifth")


def test_a_pipeline_tells_which_rules_a_stream_has() -> None:
    """In the order of the file."""
    first, second, third = THINGS.whole > 0, OTHERS.whole > 0, THINGS.real < 1
    made = pipeline(rules=[first, second, third])
    assert [made.rules_for(stream) for stream in (THINGS, OTHERS)] == [(first, third), (second,)]


@pytest.mark.parametrize(
    ("value", "task"), [(OTHERS.flag, "binary"), (OTHERS.whole > 3, "binary"), (OTHERS.real, "regression")]
)
def test_a_label_tells_the_task(value: Expression, task: str) -> None:
    """A condition is classified, a number regressed."""
    assert pipeline(label=Label(value, join="id", wait="1h")).task == task


def test_a_pipeline_does_not_change() -> None:
    """Neither it nor its features, once it is made: it is hashed into versions."""
    features = {"whole": THINGS.whole}
    made = pipeline(features=features)
    features["more"] = THINGS.real
    assert made.feature_names == ("whole",)
    assert isinstance(made.features, MappingProxyType)
    with pytest.raises(AttributeError):
        THINGS.name = "other"
    with pytest.raises(AttributeError):
        del THINGS.name


def test_a_stream_is_no_container_and_has_no_hidden_fields() -> None:
    """Copying, iterating and introspection find no made-up fields; names of settings are reached by brackets."""
    with pytest.raises(TypeError):
        iter(THINGS)
    with pytest.raises(AttributeError):
        _ = THINGS._private
    assert THINGS.topic == "some.things"
    assert THINGS["topic"].name == "topic"
    assert copy.copy(THINGS.whole).name == "whole"
    assert (THINGS.max_future_ms, OTHERS.max_future_ms) == (3_600_000, None)
    assert THINGS.suggestions("wole") == ["whole"]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (THINGS.whole + 1, "(things.whole + 1)"),
        (1 - THINGS.whole * 2, "(1 - (things.whole * 2))"),
        (~(THINGS.flag & THINGS.text.is_in(["a"])), "~(things.flag & things.text.is_in(['a']))"),
        (minimum(THINGS.real, 2.0).fallback(0.0), "minimum(things.real, 2.0).fallback(0.0)"),
        (THINGS.text_or_none.is_missing(), "things.text_or_none.is_missing()"),
        (count(THINGS).over("60m"), "count(things).over('1h')"),
        (
            mean(THINGS.real).by("id", text="color").over("1h", panes=4),
            "mean(things.real).by('id', text='color').over('1h', panes=4)",
        ),
        (quantile(THINGS.real, 0.5).over("1d"), "quantile(things.real, 0.5).over('1d')"),
    ],
)
def test_an_expression_is_written_as_it_was(expression: Expression, text: str) -> None:
    """The text is its identity: the same however and wherever the same was written."""
    assert describe(expression) == text


def test_what_differs_is_written_differently() -> None:
    """Kinds of constants, windows, panes, entities and streams tell expressions apart."""
    different = [
        THINGS.whole + 1,
        THINGS.whole + 1.0,
        1 + THINGS.whole,
        OTHERS.whole + 1,
        THINGS.text == "1",
        THINGS.text == "True",
        THINGS.flag == as_expression(True),
        last(THINGS.text).over("1h"),
        last(THINGS.text).over("1h", panes=6),
        last(THINGS.text).by("id").over("1h"),
        last(THINGS.text).by(id="text").over("1h"),
    ]
    assert len({describe(each) for each in different}) == len(different)


def test_the_fields_of_the_event_itself() -> None:
    """Those within aggregates are of earlier events, and not among them."""
    expression = THINGS.whole + mean(OTHERS.real).by("id").over("1h") * THINGS.real
    assert [field.name for field in fields_in(expression)] == ["whole", "real"]
