"""Watchers of models: their quality, findings of drift, and who is the champion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from riverrun.pipeline.alerts import SEVERITIES, ChampionRule, DriftRule, QualityRule, Severity
from riverrun.records.items import Drift, Evaluation, ModelAlias
from services.alerts.observations import Observation
from services.alerts.signals import Fact
from services.alerts.watching import Moment, Watcher

__all__ = ["ChampionWatcher", "DriftWatcher", "QualityWatcher"]

_CHAMPION: Final = "champion"


class _ChampionFollower(Watcher):
    """Knows which model is the champion.

    Parameters
    ----------
    champion
        The model that the pipeline file calls champion.
    """

    def __init__(self, champion: str) -> None:
        self._champion = champion

    def _change(self, fact: Fact | None) -> tuple[str, ModelAlias] | None:
        """Take note of a new champion; return the one before, and the alias that says so, or None."""
        if not isinstance(fact, ModelAlias) or fact.alias != _CHAMPION or fact.model == self._champion:
            return None
        before, self._champion = self._champion, fact.model
        return before, fact

    def state(self) -> Mapping[str, object]:
        """Return the champion."""
        return {"champion": self._champion}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self._champion = state["champion"]


class QualityWatcher(_ChampionFollower):
    """Compares the quality over the evaluation's window with the rule's bounds.

    Parameters
    ----------
    rule
        The rule.
    champion
        The model that the pipeline file calls champion.
    """

    def __init__(self, rule: QualityRule, champion: str) -> None:
        super().__init__(champion)
        self._rule = rule

    def see(self, fact: Fact | None, moment: Moment) -> Iterator[Observation]:
        """Look at an evaluation, or at a change of the champion: what the old one did is over then."""
        rule = self._rule
        change = self._change(fact)
        if change is not None and rule.model is None:
            before, _ = change
            yield Observation(rule.name, before, moment.now, holds=False, title=f"{before} is replaced")
        if not isinstance(fact, Evaluation) or fact.model != (rule.model or self._champion):
            return
        value = fact.window.get(rule.metric)
        if value is None:
            return
        bounds = [(rule.below, "below"), (rule.above, "above")]
        passed = [(bound, word) for bound, word in bounds if bound is not None and (value - bound) * _SIGN[word] > 0]
        figures = {"value": value, "examples": float(fact.count)}
        if not passed:
            title = f"{rule.metric} of {fact.model} is {value:.4g} again"
            yield Observation(rule.name, fact.model, fact.time, holds=False, title=title, values=figures)
            return
        bound, word = passed[0]
        yield Observation(
            rule=rule.name,
            subject=fact.model,
            time=fact.time,
            holds=True,
            severity=rule.severity,
            title=f"{rule.metric} of {fact.model} is {value:.4g}, {word} {bound:g}",
            text=f"Over the last window, after {fact.count:,} examples; over all of them it is "
            f"{fact.metrics.get(rule.metric, value):.4g}.",
            values=figures | {"limit": bound},
        )


_SIGN: Final = {"below": -1, "above": 1}


class ChampionWatcher(_ChampionFollower):
    """Notices that another model became the champion.

    Parameters
    ----------
    rule
        The rule.
    champion
        The model that the pipeline file calls champion.
    """

    def __init__(self, rule: ChampionRule, champion: str) -> None:
        super().__init__(champion)
        self._rule = rule

    def see(self, fact: Fact | None, moment: Moment) -> Iterable[Observation]:
        """Look at an alias."""
        change = self._change(fact)
        if change is None:
            return ()
        before, alias = change
        return (
            Observation(
                rule=self._rule.name,
                subject=alias.model,
                time=moment.now,
                holds=True,
                severity=self._rule.severity,
                title=f"{alias.model} is champion now, in place of {before}",
                text=f"By {alias.author}: {alias.reason}",
                momentary=True,
            ),
        )


class DriftWatcher(Watcher):
    """Passes on findings of drift.

    Parameters
    ----------
    rule
        The rule.
    """

    def __init__(self, rule: DriftRule) -> None:
        self._rule = rule

    def see(self, fact: Fact | None, moment: Moment) -> Iterable[Observation]:
        """Look at a finding."""
        del moment
        rule = self._rule
        if not isinstance(fact, Drift):
            return ()
        if (rule.kinds and fact.kind not in rule.kinds) or (rule.subjects and fact.subject not in rule.subjects):
            return ()
        segment = dict([fact.segment.split("=", 1)]) if "=" in fact.segment else {}
        where = f" for {fact.segment}" if fact.segment else ""
        return (
            Observation(
                rule=rule.name,
                subject=f"{fact.kind} {fact.subject}".rstrip(),
                time=fact.time,
                holds=True,
                severity=max(rule.severity, _severity(fact.severity), key=SEVERITIES.index),
                title=f"Drift ({fact.kind}) of {fact.subject}{where}: {fact.statistic} {fact.value:.4g}",
                text=fact.message,
                values={"value": fact.value, "limit": fact.threshold, "since_offset": float(fact.since_offset)},
                segment=segment,
                momentary=True,
            ),
        )


def _severity(text: str) -> Severity:
    return next((each for each in SEVERITIES if each == text), "warning")
