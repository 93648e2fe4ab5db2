"""Alerts: rules that can never hold, about things that do not exist, and routes that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from riverrun.models.measures import make_measures
from riverrun.pipeline.alerts import (
    SECRET_NAME,
    SEGMENT,
    AlertRule,
    CounterRule,
    DeadLetterRule,
    DriftRule,
    LagRule,
    QualityRule,
    Route,
    SilenceRule,
)
from riverrun.pipeline.attempts import Attempt
from riverrun.pipeline.checks.names import PIPELINE_NAME
from riverrun.pipeline.durations import YEAR_MS, Duration, parse_duration
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem

__all__ = ["check_alerts"]

STAGES: Final = ("ingest", "features", "score", "labels", "learn", "drift-inputs", "drift-errors")


def check_alerts(pipeline: Pipeline) -> Iterator[Problem]:
    """Check the rules and routes of ``alerts=[...]``."""
    taken: dict[tuple[type, str], AlertRule | Route] = {}
    for each in pipeline.alerts:
        kind = Route if isinstance(each, Route) else AlertRule
        called = "route" if kind is Route else "alert rule"
        if not PIPELINE_NAME.fullmatch(each.name):
            yield Problem(
                "bad-name",
                f"{each.name!r} is no name for a {called}",
                "use letters, digits, dashes and underscores",
                each.location,
            )
        if taken.setdefault((kind, each.name), each) is not each:
            yield Problem("duplicate-alert", f"two {called}s are called {each.name!r}", "rename one", each.location)
    for rule in pipeline.alert_rules:
        yield from _check_rule(rule)
        specific = _SPECIFIC.get(type(rule))
        if specific is not None:
            yield from specific(pipeline, rule)
    for route in pipeline.alert_routes:
        yield from _check_route(pipeline, route)


def _check_rule(rule: AlertRule) -> Iterator[Problem]:
    if rule.burst < 1:
        yield _bad(rule, f"burst is {rule.burst}", "let it tell at least one alert before it sums up")
    lengths: list[tuple[str, Duration | None, int]] = [
        ("cooldown", rule.cooldown, 0),
        ("lasting", rule.lasting, 0),
        ("escalate_after", rule.escalate_after, 1),
        ("digest", rule.digest, 1),
        ("over", rule.over if isinstance(rule, DeadLetterRule | SilenceRule) else None, 1),
    ]
    for what, length, least in lengths:
        if length is not None and not least <= parse_duration(length) <= YEAR_MS:
            yield Problem(
                "bad-duration",
                f"{what} of the alert rule {rule.name!r} is {length!r}",
                f"choose a time between {least}ms and 366d",
                rule.location,
            )


def _bad(rule: AlertRule, what: str, hint: str, code: str = "bad-alert") -> Problem:
    return Problem(code, f"the alert rule {rule.name!r}: {what}", hint, rule.location)


def _check_drift(pipeline: Pipeline, rule: AlertRule) -> Iterator[Problem]:
    if pipeline.drift is None:
        yield Problem(
            "unwatched-drift",
            f"the alert rule {rule.name!r} waits for findings of drift, and nothing is watched for drift",
            "give the pipeline drift=Drift()",
            rule.location,
            severity="warning",
        )


def _check_quality(pipeline: Pipeline, rule: AlertRule) -> Iterator[Problem]:
    if not isinstance(rule, QualityRule):
        return
    if rule.below is None and rule.above is None:
        yield _bad(rule, "no bound is given", "say below= or above=")
    elif rule.below is not None and rule.above is not None and rule.below > rule.above:
        yield _bad(rule, f"nothing is from {rule.below} to {rule.above}", "below= is the floor, above= the ceiling")
    known = {model.name for model in pipeline.models}
    if rule.model is not None and rule.model not in known:
        yield _bad(rule, f"no model is called {rule.model!r}", f"there are {', '.join(sorted(known))}", "unknown-model")
    names: list[str] = []
    with Attempt():  # metrics that cannot be made are reported by themselves
        names = [measure.name for measure in make_measures(pipeline.metrics, pipeline.task)]
    if names and rule.metric not in names:
        yield _bad(rule, f"no metric is called {rule.metric!r}", f"there are {', '.join(names)}", "unknown-metric")


def _check_dead_letters(pipeline: Pipeline, rule: AlertRule) -> Iterator[Problem]:
    del pipeline
    if isinstance(rule, DeadLetterRule) and not (0 <= rule.share < 1 and rule.least >= 1):
        yield _bad(rule, f"share is {rule.share} and least {rule.least}", "from 0 to below 1, and from 1 up")


def _check_stage(pipeline: Pipeline, rule: AlertRule) -> Iterator[Problem]:
    if isinstance(rule, LagRule | CounterRule) and rule.stage.startswith("drift-") and pipeline.drift is None:
        yield _bad(rule, "drift is not watched", "write drift=Drift(), or leave the rule out", "unknown-stage")
    if isinstance(rule, LagRule | CounterRule) and rule.stage not in STAGES:
        yield _bad(rule, f"no stage is called {rule.stage!r}", f"there are {', '.join(STAGES)}", "unknown-stage")
    if isinstance(rule, LagRule) and rule.records < 0:
        yield _bad(rule, f"records is {rule.records}", "nobody is less than 0 records behind")


def _check_silence(pipeline: Pipeline, rule: AlertRule) -> Iterator[Problem]:
    if not isinstance(rule, SilenceRule):
        return
    known = [stream.name for stream in pipeline.streams]
    if rule.stream not in known:
        yield _bad(rule, f"no stream is called {rule.stream!r}", f"there are {', '.join(known)}", "unknown-stream")


_SPECIFIC: Final[dict[type[AlertRule], Callable[[Pipeline, AlertRule], Iterator[Problem]]]] = {
    DriftRule: _check_drift,
    QualityRule: _check_quality,
    DeadLetterRule: _check_dead_letters,
    LagRule: _check_stage,
    CounterRule: _check_stage,
    SilenceRule: _check_silence,
}


def _check_route(pipeline: Pipeline, route: Route) -> Iterator[Problem]:
    for what, hint in (*_target_faults(route), *_filter_faults(pipeline, route)):
        yield Problem("bad-route", f"the route {route.name!r}: {what}", hint, route.location)


def _target_faults(route: Route) -> Iterator[tuple[str, str]]:
    if not SECRET_NAME.fullmatch(route.secret):
        yield (
            f"{route.secret!r} is no name for a secret",
            "the secret itself goes into the setting RIVERRUN_CHANNEL_<SECRET>: use capitals, digits and underscores",
        )
    if route.channel == "webhook":
        parts = urlsplit(route.url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            yield f"{route.url!r} is no address of a webhook", "write https://host/path"
    elif route.url:
        yield (
            "an Apprise URL is a secret",
            "put it into the setting RIVERRUN_CHANNEL_<SECRET> and leave url= out",
        )


def _filter_faults(pipeline: Pipeline, route: Route) -> Iterator[tuple[str, str]]:
    for segment in route.segments:
        if not SEGMENT.fullmatch(segment):
            yield f"{segment!r} is no segment", 'write "name=value", such as "carrier=UA"'
    known = {rule.name for rule in pipeline.alert_rules}
    for name in route.rules:
        if name not in known:
            yield f"no alert rule is called {name!r}", f"there are {', '.join(sorted(known))}"
