"""Alerts in a pipeline file: what is refused at once, and what the check says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riverrun.pipeline.alerts import (
    OWN_RULES,
    AlertRule,
    ChampionRule,
    CounterRule,
    DeadLetterRule,
    DriftRule,
    LagRule,
    QualityRule,
    Route,
    SilenceRule,
)
from riverrun.pipeline.check import check
from riverrun.pipeline.drift import Drift
from riverrun.pipeline.errors import DefinitionError
from tests.alerts.made import pipeline_of

FINE = QualityRule(name="fine", metric="ROCAUC", below=0.7)
HOOK = "https://hooks.example.com/"

RIGHT: tuple[AlertRule | Route, ...] = (
    FINE,
    DriftRule(name="drift", kinds=["error"]),
    DeadLetterRule(name="dead"),
    LagRule(name="lag", stage="learn"),
    SilenceRule(name="silence", stream="asked"),
    CounterRule(name="refused", stage="learn", counter="refused"),
    ChampionRule(name="champion"),
    Route(name="hook", url=HOOK, secret="HOOK", segments=["carrier=UA"], rules=["fine"]),
    Route(name="mail", channel="apprise", secret="MAIL", min_severity="critical"),
)

WRONG: list[tuple[str, str, Callable[[], AlertRule | Route]]] = [
    ("bad-name", "'no good'", lambda: ChampionRule(name="no good")),
    ("bad-name", "'no good'", lambda: Route(name="no good", url=HOOK, secret="HOOK")),
    ("duplicate-alert", "'fine'", lambda: ChampionRule(name="fine")),
    ("unknown-metric", "'Precision'", lambda: QualityRule(name="q", metric="Precision", below=0.7)),
    ("unknown-model", "'nobody'", lambda: QualityRule(name="q", metric="ROCAUC", below=0.7, model="nobody")),
    ("bad-alert", "no bound", lambda: QualityRule(name="q", metric="ROCAUC")),
    ("bad-alert", "nothing is from", lambda: QualityRule(name="q", metric="ROCAUC", below=0.9, above=0.8)),
    ("bad-alert", "burst is 0", lambda: ChampionRule(name="c", burst=0)),
    ("bad-alert", "share is 1.5", lambda: DeadLetterRule(name="d", share=1.5)),
    ("bad-alert", "least 0", lambda: DeadLetterRule(name="d", least=0)),
    ("bad-alert", "records is -1", lambda: LagRule(name="l", stage="learn", records=-1)),
    ("unknown-stage", "not watched", lambda: LagRule(name="l", stage="drift-errors")),
    ("unknown-stage", "'lern'", lambda: LagRule(name="l", stage="lern")),
    ("unknown-stage", "not watched", lambda: LagRule(name="l", stage="drift-errors")),
    ("unknown-stage", "'lern'", lambda: CounterRule(name="l", stage="lern", counter="refused")),
    ("unknown-stream", "'nothing'", lambda: SilenceRule(name="s", stream="nothing")),
    ("bad-duration", "cooldown", lambda: ChampionRule(name="c", cooldown="367d")),
    ("bad-duration", "escalate_after", lambda: ChampionRule(name="c", escalate_after="800d")),
    ("bad-duration", "digest", lambda: ChampionRule(name="c", digest="0s")),
    ("bad-duration", "over", lambda: SilenceRule(name="s", stream="asked", over="0s")),
    ("bad-route", "'hook'", lambda: Route(name="r", url=HOOK, secret="hook")),
    ("bad-route", "'hooks.example.com'", lambda: Route(name="r", url="hooks.example.com", secret="HOOK")),
    ("bad-route", "Apprise URL", lambda: Route(name="r", channel="apprise", url="json://x", secret="HOOK")),
    ("bad-route", "'UA'", lambda: Route(name="r", url=HOOK, secret="HOOK", segments=["UA"])),
    ("bad-route", "'nothing'", lambda: Route(name="r", url=HOOK, secret="HOOK", rules=["nothing"])),
]


def test_the_right_alerts_have_no_problem() -> None:
    """One of each kind passes."""
    assert check(pipeline_of(*RIGHT, drift=Drift())) == []


def test_alerts_on_drift_that_nobody_watches_for_are_told() -> None:
    """A warning: the rule is right, and will never say anything."""
    (problem,) = check(pipeline_of(DriftRule(name="drift")))
    assert (problem.code, problem.severity) == ("unwatched-drift", "warning")


@pytest.mark.parametrize(("code", "says", "make"), WRONG)
def test_wrong_alerts_are_told_with_their_line(code: str, says: str, make: Callable[[], AlertRule | Route]) -> None:
    """The problem has its code, names what is wrong, and points at the line that it was written on."""
    wrong = make()
    problems = check(pipeline_of(FINE, wrong))
    assert [problem.code for problem in problems] == [code]
    assert says in problems[0].message
    assert problems[0].location == wrong.location
    assert wrong.location is not None
    assert wrong.location.file == __file__


def test_a_route_needs_no_rule() -> None:
    """There are some that every pipeline has; they may be named, and their names are nobody else's."""
    assert len(OWN_RULES) == 2
    for own in (rule.name for rule in OWN_RULES):
        assert check(pipeline_of(Route(name="r", url=HOOK, secret="HOOK", rules=[own]))) == []
        (problem,) = check(pipeline_of(CounterRule(name=own, stage="learn", counter="refused")))
        assert problem.code == "bad-name"


WRONG_TYPES: list[tuple[Any, dict[str, Any]]] = [
    (ChampionRule, {"name": "c", "severity": "dire"}),
    (ChampionRule, {"name": 7}),
    (ChampionRule, {"name": "c", "cooldown": "two weeks"}),
    (ChampionRule, {"name": "c", "burst": True}),
    (QualityRule, {"name": "q", "metric": "ROCAUC", "below": "low"}),
    (DeadLetterRule, {"name": "d", "share": "many"}),
    (DriftRule, {"name": "d", "kinds": "error"}),
    (Route, {"name": "r", "secret": "S", "channel": "pigeon"}),
    (Route, {"name": "r", "secret": 7}),
    (Route, {"name": "r", "secret": "S", "min_severity": "dire"}),
]


@pytest.mark.parametrize(("kind", "settings"), WRONG_TYPES)
def test_wrong_types_are_refused_at_once(kind: Any, settings: dict[str, Any]) -> None:
    """As a type checker would: in words, with the line."""
    with pytest.raises(DefinitionError) as error:
        kind(**settings)
    assert error.value.location is not None
    assert error.value.location.file == __file__


def test_alerts_are_rules_and_routes() -> None:
    """Whatever else stands in the list is refused."""
    wrong: Any = "alert"
    with pytest.raises(DefinitionError):
        pipeline_of(wrong)
