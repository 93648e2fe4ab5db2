"""The fold of `alerts`: signals in, alerts out. Pure: the only clock is the one that the signals carry."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from riverrun.pipeline import Pipeline
from riverrun.pipeline.alerts import (
    AlertRule,
    ChampionRule,
    CounterRule,
    DeadLetterRule,
    DriftRule,
    LagRule,
    QualityRule,
    SilenceRule,
)
from riverrun.records.items import Alert, AlertCommand, Drift, Evaluation, Progress
from riverrun.subscriptions import CommandError
from services.alerts.clock import StreamClock
from services.alerts.incidents import Incidents
from services.alerts.model_watchers import ChampionWatcher, DriftWatcher, QualityWatcher
from services.alerts.progress_watchers import CounterWatcher, DeadLetterWatcher, LagWatcher, SilenceWatcher
from services.alerts.signals import Fact, Signal
from services.alerts.stage_topics import topics_read
from services.alerts.subscriptions import Subscriptions
from services.alerts.watching import Moment, Watcher

__all__ = ["AlertsCore", "Step"]

_COMMANDS_KEPT: Final = 1_000
_INGEST: Final = "ingest"


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a signal: alerts, and what somebody should read in a log."""

    alerts: tuple[Alert, ...] = ()
    troubles: tuple[str, ...] = ()


class AlertsCore:
    """Folds signals into alerts.

    It takes each record that was copied into the signals once: copies that come again are dropped.

    Parameters
    ----------
    pipeline
        Whose rules and routes count.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.subscriptions = Subscriptions(pipeline.alert_routes)
        self.incidents = Incidents(pipeline.alert_rules, self.subscriptions)
        self.position = -1
        # With the kind: a rule that is replaced by another of its name starts anew.
        self._watchers = {f"{rule.kind}/{rule.name}": _watcher(pipeline, rule) for rule in pipeline.alert_rules}
        self._clock = StreamClock()
        self._intake = StreamClock()
        self._taken: dict[str, int] = {}
        self._commands: dict[str, None] = {}

    def step(self, signal: Signal) -> Step:
        """Fold one signal."""
        if signal.position <= self.position:
            return Step()
        self.position = signal.position
        if not self._takes(signal):
            return Step()
        fact, troubles = signal.fact, [signal.trouble] if signal.trouble else []
        now = self._clock.advance(signal.wall, _event_time(fact))
        intake = self._intake.advance(signal.wall, _intake_time(fact))
        alerts: list[Alert] = []
        if isinstance(fact, AlertCommand):
            try:
                alerts += self._carry_out(fact, signal, now)
            except CommandError as error:
                troubles.append(f"command {fact.id!r} of {fact.author!r} is skipped: {error}")
        moment = Moment(now, intake, signal.ends)
        for watcher in self._watchers.values():
            for seen in watcher.see(fact, moment):
                alerts += self.incidents.observe(seen, signal.source, now)
        alerts += self.incidents.advance(signal.source, now)
        return Step(tuple(alerts), tuple(troubles))

    def _takes(self, signal: Signal) -> bool:
        place = f"{signal.source.topic}/{signal.source.partition}"
        last = self._taken.get(place)
        if last is not None and signal.source.position <= last:
            return False
        self._taken[place] = signal.source.position
        return True

    def _carry_out(self, command: AlertCommand, signal: Signal, now: int) -> Iterator[Alert]:
        if command.id in self._commands:
            return
        self._commands[command.id] = None
        if len(self._commands) > _COMMANDS_KEPT:
            del self._commands[next(iter(self._commands))]
        if command.action == "acknowledge":
            yield from self.incidents.acknowledge(command, signal.source, now)
        elif command.action in ("subscribe", "unsubscribe"):
            self.subscriptions.apply(command)
        else:
            raise CommandError(f"nothing is called {command.action!r}")

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, for JSON, in parts that each have a table.

        It is of this moment, and stays so when the core goes on: Faust writes it down some time later.
        """
        rules = {key: watcher.state() for key, watcher in self._watchers.items()}
        return {
            "cooldowns": self.incidents.state(),
            "acknowledgements": list(self._commands),
            "subscriptions": self.subscriptions.state(),
            "watchers": {
                "clock": asdict(self._clock),
                "intake": asdict(self._intake),
                "taken": dict(self._taken),
                "rules": copy.deepcopy(rules),
            },
        }

    def restore(self, position: int, state: Mapping[str, Any]) -> None:
        """Go on after the signal at ``position``, from a `state`."""
        self.position = position
        self.incidents.restore(state["cooldowns"])
        self._commands = dict.fromkeys(state["acknowledgements"])
        self.subscriptions.restore(state["subscriptions"])
        rest = state["watchers"]
        self._clock, self._intake = StreamClock(**rest["clock"]), StreamClock(**rest["intake"])
        self._taken = dict(rest["taken"])
        for key, watcher in self._watchers.items():
            if key in rest["rules"]:
                watcher.restore(rest["rules"][key])


def _event_time(fact: Fact | None) -> int:
    if isinstance(fact, Evaluation | Drift):
        return fact.time
    return fact.watermark if isinstance(fact, Progress) else 0


def _intake_time(fact: Fact | None) -> int:
    return fact.watermark if isinstance(fact, Progress) and fact.stage == _INGEST else 0


def _watcher(pipeline: Pipeline, rule: AlertRule) -> Watcher:
    for kind, make in _MAKERS:
        if isinstance(rule, kind):
            return make(pipeline, rule)
    raise TypeError(f"nothing watches for {rule!r}")


_MAKERS: Final[Sequence[tuple[type[AlertRule], Callable[[Pipeline, Any], Watcher]]]] = (
    (DriftRule, lambda pipeline, rule: DriftWatcher(rule)),
    (DeadLetterRule, lambda pipeline, rule: DeadLetterWatcher(rule)),
    (QualityRule, lambda pipeline, rule: QualityWatcher(rule, pipeline.champion.name)),
    (LagRule, lambda pipeline, rule: LagWatcher(rule, topics_read(pipeline, rule.stage))),
    (SilenceRule, lambda pipeline, rule: SilenceWatcher(rule, pipeline.stream_named(rule.stream).topic)),
    (CounterRule, lambda pipeline, rule: CounterWatcher(rule)),
    (ChampionRule, lambda pipeline, rule: ChampionWatcher(rule, pipeline.champion.name)),
)
