"""What ``riverrun check`` finds: for each problem a pipeline that is wrong in one place, beside the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from riverrun.pipeline.check import check_file
from tests.pipeline.pipelines import RIGHT, checked, edited, line_of
from tests.pipeline.wrong_files import GROUPS, Wrong

EXAMPLES = Path(__file__).parents[2] / "examples"


CASES = [
    pytest.param(wrong, id=f"{group}-{number}-{wrong.code}")
    for group, wrongs in GROUPS.items()
    for number, wrong in enumerate(wrongs)
]


def test_the_right_file_has_no_problem(tmp_path: Path) -> None:
    """So whatever is found in the tests below is due to the one edit that each makes."""
    assert checked(RIGHT, tmp_path) == []


@pytest.mark.parametrize("wrong", CASES)
def test_a_wrong_file_is_told_with_code_line_and_name(wrong: Wrong, tmp_path: Path) -> None:
    """The problem has its code, the line that was edited or named, and says in words what is wrong."""
    text = edited((wrong.was, wrong.now))
    problems = checked(text, tmp_path)
    told = [each for each in problems if each.code == wrong.code and wrong.says in each.message]
    assert told, problems
    problem = told[0]
    assert problem.severity == wrong.severity
    assert problem.location is not None
    assert problem.location.file == str(tmp_path / "made.py")
    assert problem.location.line == line_of(text, wrong.at or wrong.now)
    assert {each.code for each in problems} == {wrong.code, *wrong.also}


def test_everything_wrong_is_told_at_once_by_line(tmp_path: Path) -> None:
    """One run lists all problems, in the order of the file, each once."""
    text = edited(
        ('"price": orders.price', '"price": orders.prize'),
        ('.over("1h")', '.over("0s")'),
        ("orders.price > 0", "orders.customer"),
    )
    problems = checked(text, tmp_path)
    assert [problem.code for problem in problems] == ["rule-not-boolean", "unknown-field", "bad-window"]
    lines = [problem.location.line for problem in problems if problem.location is not None]
    assert lines == sorted(lines)


def test_a_problem_is_printed_as_compilers_print_them(tmp_path: Path) -> None:
    """File and line first, so that an editor jumps there; then the words, what to do, and the code."""
    (problem,) = checked(edited(('"price": orders.price', '"price": orders.pric')), tmp_path)
    assert str(problem) == (
        f"{tmp_path / 'made.py'}:{line_of(RIGHT, 'orders.price,')}: error: the stream 'orders' has no field 'pric'"
        " (did you mean 'price'?) [unknown-field]"
    )


def test_a_join_field_may_recur(tmp_path: Path) -> None:
    """Where predictions share the join field, aggregates by it are other predictions' outcomes, not a leak."""
    by_key = ('sum_(returns.refund).by("customer")', 'sum_(returns.refund).by("order")')
    recurring = ("otherwise=False,", "otherwise=False,\n        recurring=True,")
    assert [problem.code for problem in checked(edited(by_key), tmp_path)] == ["leak-own-label"]
    assert checked(edited(by_key, recurring), tmp_path) == []


def test_a_label_in_the_very_event_is_a_leak_if_a_feature_reads_it(tmp_path: Path) -> None:
    """Directly it is the answer; through an aggregate, of earlier events only, it is none."""
    aggregated = [
        ("returns.refund > 0,", "orders.price > 20,"),
        ('"price": orders.price', '"price": mean(orders.price).by("customer").over("1h").fallback(0.0)'),
    ]
    found = checked(edited(*aggregated), tmp_path)
    assert [(problem.code, problem.severity) for problem in found] == [("label-in-same-event", "warning")]
    found = checked(edited(aggregated[0]), tmp_path)
    assert sorted(problem.code for problem in found) == ["label-in-same-event", "leak-label-field"]
    (leak,) = [problem for problem in found if problem.severity == "error"]
    assert "the feature 'price' reads orders.price" in leak.message


def test_a_field_named_as_one_of_the_label_is_looked_at_twice(tmp_path: Path) -> None:
    """It is known at that time, perhaps; a person has to judge."""
    text = edited(
        ('refund="double"', 'refund="double",\n    price="double"'), ("returns.refund > 0,", "returns.price > 0,")
    )
    (problem,) = checked(text, tmp_path)
    assert (problem.code, problem.severity) == ("same-name-as-label", "warning")
    assert "orders.price" in problem.message


def test_an_outcome_by_something_coarser_is_no_leak(tmp_path: Path) -> None:
    """A customer's earlier returns, a shop's, everybody's: the right file has all three kinds."""
    assert 'sum_(returns.refund).by("customer")' in RIGHT
    assert "quantile(returns.refund, 0.5).over" in RIGHT
    assert checked(RIGHT, tmp_path) == []


def test_a_model_that_cannot_do_without_a_value_is_told_which(tmp_path: Path) -> None:
    """The dry run leaves out what may be missing, as the stream will; with a fallback it is never missing."""
    needs = ("        self.seen += 1", '        self.seen += len(x["reason"])')
    assert checked(edited(needs), tmp_path) == []
    (problem,) = checked(edited(needs, ('.fallback("none")', "")), tmp_path)
    assert problem.code == "model-fails"
    assert "reason" in problem.message
    assert "missing" in problem.message
    assert ".fallback()" in problem.hint


def test_a_model_whose_state_pickle_does_not_see_is_told(tmp_path: Path) -> None:
    """It would be another model after a restart."""
    text = edited(
        ("{True: 0.5, False: 0.5}", "{True: 0.5 + self.seen / 100}"),
        ("    def learn_one", "    def __getstate__(self):\n        return {'seen': 0}\n\n    def learn_one"),
    )
    (problem,) = checked(text, tmp_path)
    assert problem.code == "model-state-lost"


def test_a_name_may_stand_in_two_dicts(tmp_path: Path) -> None:
    """Only within one does the later hide the earlier; the line of the earlier is told, in whatever dict."""
    assert checked(RIGHT + '\nA = {"x": 1, "y": {"x": 2}, **{"x": 3}}\nB = {1: "a", 1: "b"}\n', tmp_path) == []
    text = RIGHT + '\nEDGES = {\n    "price": 1,\n    "hour": 2,\n    "price": 3,\n}\n'
    (problem,) = checked(text, tmp_path)
    assert problem.code == "duplicate-name"
    assert problem.location is not None
    assert problem.location.line == text.count("\n") - 1
    assert f"'price' stands twice in one dict, so what it meant on line {text.count(chr(10)) - 3}" in problem.message


def test_no_features_at_all_is_told(tmp_path: Path) -> None:
    """A vector of nothing predicts nothing."""
    start, end = RIGHT.index("    features={\n"), RIGHT.index("    label=Label(")
    (problem,) = checked(RIGHT[:start] + "    features={},\n" + RIGHT[end:], tmp_path)
    assert problem.code == "no-features"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/pipeline.py")), ids=lambda file: file.parent.name)
def test_the_examples_pass(file: Path) -> None:
    """What is shipped to be learned from has neither errors nor warnings."""
    assert check_file(file) == []


def test_there_is_an_example() -> None:
    """The test above has something to check."""
    assert (EXAMPLES / "flights" / "pipeline.py").is_file()
