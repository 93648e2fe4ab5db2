"""What expressions mean: kinds found beforehand, and closures held against a naive evaluator."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.pipeline import compile_expression, kind_of, mean
from riverrun.pipeline.errors import ExpressionError
from riverrun.pipeline.expressions import Expression, Literal, Scalar
from riverrun.pipeline.functions import (
    abs_,
    hour_of,
    log1p,
    maximum,
    minimum,
    sqrt,
    to_number,
    weekday_of,
)
from riverrun.pipeline.kinds import is_often_missing, type_faults
from riverrun.pipeline.schemas import Kind
from riverrun.records.items import FieldValue
from tests.pipeline.made import anything, evaluate

THINGS = anything()
TYPES = {Kind.BOOL: bool, Kind.INT: int, Kind.FLOAT: float, Kind.TEXT: str, Kind.BYTES: bytes}

LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -1.0, 1.5])
TEXTS = st.sampled_from(["", "a", "b", "é"])

ROWS = st.fixed_dictionaries(
    {
        "at": LONGS,
        "whole": LONGS,
        "whole_or_none": st.none() | st.integers(-(2**31), 2**31 - 1),
        "real": DOUBLES,
        "real_or_none": st.none() | DOUBLES,
        "flag": st.booleans(),
        "flag_or_none": st.none() | st.booleans(),
        "text": TEXTS,
        "text_or_none": st.none() | TEXTS,
        "raw": st.binary(max_size=2),
    }
)

Grow = Callable[[st.SearchStrategy[Expression]], st.SearchStrategy[Expression]]


def fields(*names: str) -> st.SearchStrategy[Expression]:
    return st.sampled_from([THINGS[name] for name in names])


def literals(values: st.SearchStrategy[Scalar]) -> st.SearchStrategy[Expression]:
    return values.map(Literal)


NUMBERS = fields("whole", "whole_or_none", "real", "real_or_none", "at") | literals(LONGS | DOUBLES)
CONDITIONS = fields("flag", "flag_or_none") | literals(st.booleans())
WORDS = fields("text", "text_or_none") | literals(TEXTS)


def numbers(depth: int) -> st.SearchStrategy[Expression]:
    if depth == 0:
        return NUMBERS
    below, tests = st.deferred(lambda: numbers(depth - 1)), st.deferred(lambda: conditions(depth - 1))
    arithmetic = st.sampled_from([operator.add, operator.sub, operator.mul, operator.truediv])
    return st.one_of(
        NUMBERS,
        st.builds(lambda op, a, b: op(a, b), arithmetic, below, below),
        st.builds(lambda f, a: f(a), st.sampled_from([operator.neg, abs_, log1p, sqrt]), below),
        st.builds(lambda f, a, b: f(a, b), st.sampled_from([minimum, maximum]), below, below),
        st.builds(lambda a, b: a.fallback(b), below, below),
        st.builds(to_number, tests),
        st.builds(lambda f, a: f(a), st.sampled_from([hour_of, weekday_of]), fields("at", "whole_or_none")),
    )


def conditions(depth: int) -> st.SearchStrategy[Expression]:
    if depth == 0:
        return CONDITIONS
    below, values = st.deferred(lambda: conditions(depth - 1)), st.deferred(lambda: numbers(depth - 1))
    order = st.sampled_from([operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
    return st.one_of(
        CONDITIONS,
        st.builds(lambda op, a, b: op(a, b), order, values, values),
        st.builds(lambda op, a, b: op(a, b), order, WORDS, WORDS),
        st.builds(lambda op, a, b: op(a, b), st.sampled_from([operator.and_, operator.or_]), below, below),
        st.builds(operator.invert, below),
        st.builds(lambda a: a.is_missing(), values | WORDS),
        st.builds(lambda a, low, high: a.between(low, high), values, LONGS | DOUBLES, LONGS | DOUBLES),
        st.builds(lambda a, found: a.is_in(found), WORDS, st.lists(TEXTS, min_size=1)),
        st.builds(lambda a, found: a.is_in(found), values, st.lists(LONGS | DOUBLES, min_size=1)),
        st.builds(lambda a, b: a.fallback(b), below, below),
    )


@settings(max_examples=400, deadline=None)
@given(expression=numbers(3) | conditions(3), row=ROWS)
def test_closures_do_what_the_naive_evaluator_does(expression: Expression, row: dict[str, FieldValue]) -> None:
    """Every specialised closure gives what the documented meaning gives, bit for bit."""
    assert compile_expression(expression)(row) == evaluate(expression, row)


@settings(max_examples=400, deadline=None)
@given(expression=numbers(3) | conditions(3), row=ROWS)
def test_a_result_is_of_the_kind_that_was_found_before(expression: Expression, row: dict[str, FieldValue]) -> None:
    """kind_of tells the type of what comes out; None comes only if it says so; nothing infinite ever does."""
    kind, nullable = kind_of(expression)
    value = compile_expression(expression)(row)
    if value is None:
        assert nullable
    else:
        assert type(value) is TYPES[kind]
        assert not isinstance(value, float) or math.isfinite(value)


@settings(max_examples=100, deadline=None)
@given(expression=numbers(2) | conditions(2))
def test_what_is_called_for_stands_on_missing_fields(expression: Expression) -> None:
    """An event without any field raises nothing, and a result in spite of that is of the right kind."""
    value = compile_expression(expression)({})
    assert value is None or type(value) is TYPES[kind_of(expression).kind]


@pytest.mark.parametrize(
    "expression",
    [
        THINGS.real_or_none + 1,
        1 - THINGS.real_or_none,
        -THINGS.real_or_none,
        THINGS.real * THINGS.real_or_none,
        THINGS.real_or_none / 2,
        THINGS.real_or_none > 3,
        THINGS.real_or_none == THINGS.real,
        THINGS.real_or_none.between(0, 1),
        THINGS.text_or_none.is_in(["a"]),
        ~(THINGS.real_or_none < 0),
        log1p(THINGS.real_or_none),
        minimum(THINGS.real_or_none, 1.0),
        hour_of(THINGS.whole_or_none),
        (THINGS.real_or_none > 3) & THINGS.flag,
        (THINGS.real_or_none > 3) | ~THINGS.flag,
    ],
    ids=repr,
)
def test_a_missing_value_makes_the_result_missing(expression: Expression) -> None:
    """Each operator passes a missing operand on, unless logic settles the matter."""
    assert compile_expression(expression)({"real": 2.0, "flag": True}) is None


def test_logic_is_three_valued() -> None:
    """False decides a conjunction and True a disjunction, whatever is missing beside it."""
    missing = THINGS.flag_or_none
    assert compile_expression(missing & False)({}) is False
    assert compile_expression(True | missing)({}) is True
    assert compile_expression(missing & True)({}) is None
    assert compile_expression(False | missing)({}) is None


@pytest.mark.parametrize(
    ("expression", "row"),
    [
        (THINGS.whole / THINGS.whole_or_none, {"whole": 1, "whole_or_none": 0}),
        (THINGS.real / 0, {"real": 1.0}),
        (THINGS.real * THINGS.real, {"real": 1e300}),
        (THINGS.whole + 1, {"whole": 2**63 - 1}),
        (THINGS.whole * THINGS.whole, {"whole": 2**40}),
        (-THINGS.whole, {"whole": -(2**63)}),
        (abs(THINGS.whole), {"whole": -(2**63)}),
        (sqrt(THINGS.real), {"real": -1.0}),
        (log1p(THINGS.real), {"real": -1.0}),
        (THINGS.real, {"real": math.nan}),
        (THINGS.real, {"real": math.inf}),
        (THINGS.real > 0, {"real": math.nan}),
        (THINGS.real.between(0, 1), {"real": math.nan}),
        (1 / THINGS.real, {"real": math.inf}),
    ],
)
def test_what_has_no_finite_result_is_missing(expression: Expression, row: dict[str, FieldValue]) -> None:
    """Neither an exception nor a NaN, an infinity or an oversized integer comes out, even if a NaN went in."""
    assert compile_expression(expression)(row) is None


@pytest.mark.parametrize(
    ("expression", "code", "says"),
    [
        (THINGS.text + 1, "wrong-type", "things.text is text"),
        (THINGS.flag * 2, "wrong-type", "a condition (boolean)"),
        (THINGS.text > 3, "wrong-type", "compares text with an integer"),
        (THINGS.flag == 1, "wrong-type", "compares a condition (boolean) with an integer"),
        (THINGS.flag < THINGS.flag, "wrong-type", "which have an order"),
        (THINGS.raw < b"a", "wrong-type", "which have an order"),
        (~THINGS.whole, "wrong-type", "needs a condition"),
        (THINGS.whole & THINGS.flag, "wrong-type", "needs a condition"),
        (THINGS.text.between("a", 3), "wrong-type", "compares text with an integer"),
        (THINGS.flag.between(False, True), "wrong-type", "which have an order"),
        (THINGS.text.is_in(["a", 1]), "wrong-type", "compares text with an integer"),
        (THINGS.text.is_in([]), "wrong-type", "never true"),
        (THINGS.text.fallback(0), "wrong-type", "text to fall back to"),
        (log1p(THINGS.text), "wrong-type", "needs a number"),
        (to_number(THINGS.whole), "wrong-type", "needs a condition"),
        (hour_of(THINGS.real), "wrong-type", "milliseconds"),
        (mean(THINGS.text), "wrong-type", "needs a number"),
        (THINGS.reall + 1, "unknown-field", "no field 'reall'"),
    ],
)
def test_expressions_without_a_type_are_refused(expression: Expression, code: str, says: str) -> None:
    """Each kind of type error is told, in words, by its code and with this file's line; nothing compiles."""
    (fault,) = type_faults(expression)
    assert (fault.code, says in fault.message) == (code, True), fault.message
    assert fault.location is not None
    assert fault.location.file == __file__
    with pytest.raises(ExpressionError):
        compile_expression(expression)


def test_faults_do_not_cascade_and_all_are_told() -> None:
    """Two wrong fields in one expression are two faults; what is built upon them is none."""
    faults = type_faults(log1p(THINGS.reall * 2) + THINGS.wholee.fallback(0) > THINGS.real)
    assert [fault.message.split()[-1] for fault in faults] == ["'reall'", "'wholee'"]
    assert "'real'" in faults[0].hint


def test_an_aggregate_is_read_through_what_the_caller_gives() -> None:
    """Aggregates have no value in an event: the resolver gives a closure for each, or compiling fails."""
    delay = mean(THINGS.real).by("id").over("1h")
    slots: list[FieldValue] = [None]
    compiled = compile_expression(delay.fallback(0) + THINGS.real, lambda _aggregate: lambda _row: slots[0])
    assert compiled({"real": 1.5}) == 1.5
    slots[0] = 2.0
    assert compiled({"real": 1.5}) == 3.5
    with pytest.raises(ExpressionError) as caught:
        compile_expression(delay + 1)
    assert caught.value.code == "misplaced-aggregate"


def test_what_is_often_missing() -> None:
    """Overflow alone does not count: a model need not expect twice a distance to be missing."""
    assert not is_often_missing(THINGS.real * 2 + THINGS.whole)
    assert not is_often_missing(THINGS.real / 60)
    assert is_often_missing(THINGS.real / THINGS.whole)
    assert is_often_missing(THINGS.real_or_none * 2)
    assert is_often_missing(mean(THINGS.real))
    assert not is_often_missing(mean(THINGS.real).fallback(0.0))


def test_every_kind_of_constant_is_covered() -> None:
    """The table of types above has one for each type that a constant can have."""
    assert set(TYPES.values()) == set(get_args(Scalar))
