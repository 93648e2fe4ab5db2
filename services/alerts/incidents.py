"""Incidents: what was told of, until it is over. Deduplication, cooldown, acknowledgement, escalation and digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from riverrun.incidents import ACKNOWLEDGED, DIGEST, ESCALATED, MOST_PASSED, RAISED, RESOLVED
from riverrun.pipeline.alerts import SEVERITIES, AlertRule, Severity
from riverrun.records.items import Alert, AlertCommand, Source
from riverrun.subscriptions import CommandError
from services.alerts.digests import Digests, Held
from services.alerts.observations import Observation
from services.alerts.subscriptions import Subscriptions, segment_text

__all__ = ["Incident", "Incidents", "alert_id"]

MOST_ESCALATIONS: Final = 3
_IDS_KEPT: Final = 32
_NEVER: Final = -1


@dataclass(slots=True)
class Incident:
    """One rule's condition for one subject in one segment, from when it was first noticed until it is forgotten.

    ``since`` and ``told`` are event times: since when it holds, and when it was last told (-1: not yet); ``raised`` is
    what the clock said when it was first told. ``open`` tells whether the condition holds; ``public`` whether people
    were told that it does, and not yet that it is over; ``order`` grows from each incident that is told to the next.
    """

    rule: str
    subject: str
    segment: dict[str, str]
    since: int
    momentary: bool
    id: str = ""
    severity: Severity = "info"
    title: str = ""
    text: str = ""
    values: dict[str, float] = field(default_factory=dict)
    told: int = _NEVER
    raised: int = _NEVER
    told_at: int = _NEVER
    level: int = 0
    suppressed: int = 0
    open: bool = True
    public: bool = False
    author: str = ""
    ids: list[str] = field(default_factory=list)
    order: int = _NEVER

    @property
    def key(self) -> str:
        """As that of its observations."""
        return "|".join((self.rule, self.subject, segment_text(self.segment)))

    def see(self, seen: Observation) -> None:
        """Take over what the newest observation says; an incident does not become less severe."""
        self.severity = max(self.severity, seen.severity, key=SEVERITIES.index)
        self.title, self.text, self.values = seen.title, seen.text, dict(seen.values)


class Incidents:
    """Turns observations, commands and the passing of time into alerts. A pure fold.

    Parameters
    ----------
    rules
        The pipeline's rules.
    subscriptions
        Who gets what.
    """

    def __init__(self, rules: Sequence[AlertRule], subscriptions: Subscriptions) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._subscriptions = subscriptions
        self._digests = Digests(self._rules)
        self._incidents: dict[str, Incident] = {}
        # What happened, was told and is past its cooldown: nothing comes of it but an acknowledgement.
        self._passed: list[Incident] = []

    def observe(self, seen: Observation, source: Source, now: int) -> Iterator[Alert]:
        """Take in an observation made from the record ``source`` at the time ``now``."""
        incident = self._incidents.get(seen.key)
        if incident is not None and self._is_over(incident, seen.time):
            del self._incidents[seen.key]
            incident = None
        if not seen.holds:
            if incident is not None:
                yield from self._end(incident, seen, source)
            return
        if incident is None:
            incident = Incident(seen.rule, seen.subject, dict(seen.segment), seen.time, seen.momentary)
            self._incidents[seen.key] = incident
        incident.open = True
        incident.see(seen)
        rule = self._rules[seen.rule]
        waits = rule.lasting_ms if incident.told == _NEVER and not incident.momentary else rule.cooldown_ms
        begun = incident.since if incident.told == _NEVER else incident.told
        if incident.author or (seen.time - begun < waits and not (incident.momentary and incident.told == _NEVER)):
            incident.suppressed += incident.told != _NEVER
            return
        yield from self._raise(incident, seen.time, source, now)

    def _is_over(self, incident: Incident, time: int) -> bool:
        """Tell whether what is noticed now is another incident: the old one is closed, and its cooldown too."""
        closed = not incident.open or (incident.momentary and bool(incident.author))
        return closed and incident.told != _NEVER and time - incident.told >= self._rules[incident.rule].cooldown_ms

    def _raise(self, incident: Incident, time: int, source: Source, now: int) -> Iterator[Alert]:
        incident.told, incident.told_at = time, now
        held = self._digests.passed(incident.rule, incident.segment, time)
        if held is not None:
            yield self._digest(held, source, time)
        if not self._digests.admits(incident, now):
            return
        if not incident.public:
            incident.raised = now
            incident.order = 1 + max((each.order for each in self._all()), default=_NEVER)
        incident.public = True
        identity = alert_id(source, incident.key, RAISED, incident.level)
        incident.id = incident.id or identity
        yield self._alert(incident, RAISED, identity, time, source)
        incident.suppressed = 0

    def _end(self, incident: Incident, seen: Observation, source: Source) -> Iterator[Alert]:
        if incident.momentary:
            return
        incident.open = False
        if incident.told == _NEVER:
            del self._incidents[incident.key]
            return
        if incident.public:
            incident.public = False
            identity = alert_id(source, incident.key, RESOLVED, incident.level)
            last = incident.title
            incident.title = seen.title or f"Over: {last}"
            incident.text, incident.values = seen.text, dict(seen.values)
            yield self._alert(incident, RESOLVED, identity, seen.time, source)
            incident.title, incident.author, incident.level, incident.suppressed = last, "", 0, 0
        # What comes back within the cooldown is as severe as it is noticed to be, not as it was when it ended.
        incident.severity = SEVERITIES[0]

    def acknowledge(self, command: AlertCommand, source: Source, now: int) -> Iterator[Alert]:
        """Carry out an ``acknowledge``.

        Raises
        ------
        CommandError
            If no open incident has such an alert.
        """
        found = [each for each in self.open() if command.alert in (each.id, *each.ids)]
        if not command.alert or not found:
            raise CommandError(
                f"no open incident has an alert {command.alert!r}", hint="it may be over, or acknowledged"
            )
        incident = found[0]
        if incident.author:
            return
        incident.author = command.author or "somebody"
        identity = alert_id(source, incident.key, ACKNOWLEDGED, incident.level)
        alert = self._alert(incident, ACKNOWLEDGED, identity, max(now, incident.told), source)
        alert.note = command.note
        self._passed = [each for each in self._passed if each is not incident]
        yield alert

    def advance(self, source: Source, now: int) -> Iterator[Alert]:
        """Let time pass: escalate what nobody acknowledged, tell digests that are due, forget what is long over."""
        for key, incident in sorted(self._incidents.items()):
            rule = self._rules[incident.rule]
            if self._is_forgotten(incident, rule, now):
                del self._incidents[key]
                self._remember(incident)
                continue
            yield from self._escalate(incident, rule, source, now)
        for held in self._digests.due(now):
            yield self._digest(held, source, now)

    def _is_forgotten(self, incident: Incident, rule: AlertRule, now: int) -> bool:
        if incident.told == _NEVER or now - incident.told_at < rule.cooldown_ms:
            return False
        waits = rule.escalate_after_ms is not None and incident.level < MOST_ESCALATIONS and not incident.author
        return not incident.open or (incident.momentary and not (waits and incident.public))

    def _remember(self, incident: Incident) -> None:
        """Keep what can be acknowledged still, as much of it as `riverrun.incidents` says."""
        if self._is_open(incident):
            self._passed = sorted([*self._passed, incident], key=lambda each: each.order)[-MOST_PASSED:]

    def _escalate(self, incident: Incident, rule: AlertRule, source: Source, now: int) -> Iterator[Alert]:
        after = rule.escalate_after_ms
        if after is None or not incident.public or incident.author or incident.level >= MOST_ESCALATIONS:
            return
        if now - incident.raised < after * (incident.level + 1):
            return
        incident.level += 1
        incident.severity = SEVERITIES[min(SEVERITIES.index(incident.severity) + 1, len(SEVERITIES) - 1)]
        yield self._alert(incident, ESCALATED, alert_id(source, incident.key, ESCALATED, incident.level), now, source)

    def _digest(self, held: Held, source: Source, now: int) -> Alert:
        identity = alert_id(source, f"{held.rule}||{segment_text(held.segment)}", DIGEST, 0)
        return Alert(
            id=identity,
            incident=identity,
            status=DIGEST,
            rule=held.rule,
            kind=self._rules[held.rule].kind,
            severity=held.severity,
            subject=held.rule,
            segment=held.segment,
            time=now,
            title=f"{held.count} more alerts of {held.rule}",
            text=held.text(),
            suppressed=held.count,
            source=source,
            subscriptions=self._subscriptions.matching(held.rule, held.severity, held.segment),
        )

    def _alert(self, incident: Incident, status: str, identity: str, time: int, source: Source) -> Alert:
        incident.ids = [*incident.ids, identity][-_IDS_KEPT:]
        return Alert(
            id=identity,
            incident=incident.id,
            status=status,
            rule=incident.rule,
            kind=self._rules[incident.rule].kind,
            severity=incident.severity,
            subject=incident.subject,
            segment=dict(incident.segment),
            time=time,
            title=incident.title,
            text=incident.text,
            values=dict(incident.values),
            level=incident.level,
            suppressed=incident.suppressed,
            author=incident.author,
            source=source,
            subscriptions=self._subscriptions.matching(incident.rule, incident.severity, incident.segment),
        )

    def _all(self) -> Iterator[Incident]:
        yield from self._incidents.values()
        yield from self._passed

    @staticmethod
    def _is_open(incident: Incident) -> bool:
        return incident.public and not (incident.momentary and incident.author)

    def open(self) -> tuple[Incident, ...]:
        """Return the incidents that people know of and that are not over, in the order in which they were told."""
        return tuple(sorted(filter(self._is_open, self._all()), key=lambda each: each.order))

    def state(self) -> dict[str, object]:
        """Return what `restore` needs."""
        rows = [asdict(incident) for _, incident in sorted(self._incidents.items())]
        passed = [asdict(incident) for incident in self._passed]
        return {"incidents": rows, "passed": passed, "digests": self._digests.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`; what belongs to rules that are gone is dropped."""
        found = [Incident(**row) for row in state["incidents"] if row["rule"] in self._rules]
        self._incidents = {each.key: each for each in found}
        # A state of before has none, nor any order.
        self._passed = [Incident(**row) for row in state.get("passed", ()) if row["rule"] in self._rules]
        self._digests.restore(state["digests"])


def alert_id(source: Source, key: str, status: str, level: int) -> str:
    """Return the id of the alert that a record gives rise to: the same whenever it is computed.

    Examples
    --------
    >>> alert_id(Source("shop.evaluations", 0, 7), "quality|logistic|", "raised", 0)
    'f572dc9aa74fbea8616bf6e511378c74'
    """
    text = f"{source.topic}/{source.partition}/{source.position}|{key}|{status}|{level}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
