"""What people want to be told of: rules over what the stages report, and routes by which alerts reach them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, get_args

from riverrun.pipeline.durations import Duration, parse_duration
from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.locations import Location, caller_location

__all__ = [
    "OWN_RULES",
    "REFUSED_CHECKPOINTS",
    "REFUSED_MODELS",
    "SECRET_NAME",
    "SEGMENT",
    "SEVERITIES",
    "AlertRule",
    "ChampionRule",
    "Channel",
    "CounterRule",
    "DeadLetterRule",
    "DriftRule",
    "LagRule",
    "QualityRule",
    "Route",
    "Severity",
    "SilenceRule",
]

Severity = Literal["info", "warning", "critical"]
"""How bad it is, from the least to the worst."""

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)

Channel = Literal["webhook", "apprise"]
"""How alerts are brought: a signed POST to a URL, or one of the many services that Apprise knows."""


SECRET_NAME: Final = re.compile(r"[A-Z0-9_]{1,64}", re.ASCII)
"""What a secret may be called: the last part of a setting's name."""

SEGMENT: Final = re.compile(r"[^=\s][^=]*=.+")
"""How a segment is written: ``carrier=UA``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """What all rules have. One *incident* is what a rule notices about one subject in one segment.

    Parameters
    ----------
    name : str
        Unique among the pipeline's rules; letters, digits, ``-`` and ``_``.
    severity : {"info", "warning", "critical"}
        How bad it is at least.
    cooldown : duration
        How long nothing is said again of an incident, in event time; ``0s`` tells whatever is noticed.
    lasting : duration
        For how long the condition must have held before anything is said. Findings of drift and changes of the
        champion do not last: they are told at once.
    escalate_after : duration, optional
        After how long without an acknowledgement an incident is told again, one step more severe; thrice at most.
    burst : int
        How many alerts the rule may raise, in each segment, within ``digest``. Further ones are held back and summed up
        in one.
    digest : duration
        The period of that.

    Raises
    ------
    DefinitionError
        If a parameter is of the wrong type or a duration cannot be read.
    """

    kind: ClassVar[str] = ""

    name: str
    severity: Severity = "warning"
    cooldown: Duration = "6h"
    lasting: Duration = "0s"
    escalate_after: Duration | None = None
    burst: int = 20
    digest: Duration = "1d"
    location: Location | None = field(default_factory=caller_location, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise DefinitionError(f"the name of an alert is a text, not {self.name!r}", code="bad-alert")
        _check_severity("severity", self.severity)
        for length in (self.cooldown, self.lasting, self.digest, self.escalate_after):
            if length is not None:
                parse_duration(length)
        if isinstance(self.burst, bool) or not isinstance(self.burst, int):
            raise DefinitionError(f"burst= of an alert is a count, not {self.burst!r}", code="bad-alert")

    @property
    def cooldown_ms(self) -> int:
        """``cooldown`` in milliseconds."""
        return parse_duration(self.cooldown)

    @property
    def lasting_ms(self) -> int:
        """``lasting`` in milliseconds."""
        return parse_duration(self.lasting)

    @property
    def escalate_after_ms(self) -> int | None:
        """``escalate_after`` in milliseconds."""
        return None if self.escalate_after is None else parse_duration(self.escalate_after)

    @property
    def digest_ms(self) -> int:
        """``digest`` in milliseconds."""
        return parse_duration(self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule(AlertRule):
    """Tells of findings of drift; the more severe of the rule and the finding counts.

    Parameters
    ----------
    kinds : sequence of str
        Only findings of these kinds, such as ``error`` or ``input``; all if empty.
    subjects : sequence of str
        Only of these features or models; all if empty.
    """

    kind: ClassVar[str] = "drift"

    kinds: Sequence[str] = ()
    subjects: Sequence[str] = ()

    def __post_init__(self) -> None:
        AlertRule.__post_init__(self)
        for what in ("kinds", "subjects"):
            object.__setattr__(self, what, _texts(what, getattr(self, what)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterRule(AlertRule):
    """Tells when too many records are refused.

    Parameters
    ----------
    share : float
        The limit: dead letters among all records, between 0 and 1.
    over : duration
        Of the last so long, in event time.
    least : int
        And at least so many of them.
    """

    kind: ClassVar[str] = "dead-letters"

    share: float = 0.01
    over: Duration = "1h"
    least: int = 10

    def __post_init__(self) -> None:
        AlertRule.__post_init__(self)
        _check_number("share", self.share)
        _check_number("least", self.least)
        parse_duration(self.over)

    @property
    def over_ms(self) -> int:
        """``over`` in milliseconds."""
        return parse_duration(self.over)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRule(AlertRule):
    """Tells when a model's quality, over the window of the evaluation, passes a bound.

    Parameters
    ----------
    metric : str
        The metric's name, such as ``LogLoss``.
    below, above : float, optional
        The bound that the metric must not fall below or rise above; at least one of them.
    model : str, optional
        Which model; the champion, whoever that is, unless given.
    """

    kind: ClassVar[str] = "quality"

    metric: str
    below: float | None = None
    above: float | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        AlertRule.__post_init__(self)
        for what in ("below", "above"):
            if getattr(self, what) is not None:
                _check_number(what, getattr(self, what))


@dataclass(frozen=True, slots=True, kw_only=True)
class LagRule(AlertRule):
    """Tells when a stage is behind.

    Parameters
    ----------
    stage : str
        Which, such as ``learn``.
    records : int
        The limit: records written for it that it has not folded.
    """

    kind: ClassVar[str] = "lag"

    stage: str
    records: int = 100_000

    def __post_init__(self) -> None:
        AlertRule.__post_init__(self)
        _check_number("records", self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRule(AlertRule):
    """Tells when a stream has brought nothing for too long, while time went on.

    Parameters
    ----------
    stream : str
        The stream's short name.
    over : duration
        For how long, in event time; while no stream brings anything, by the clock.
    """

    kind: ClassVar[str] = "silence"

    stream: str
    over: Duration = "6h"

    def __post_init__(self) -> None:
        AlertRule.__post_init__(self)
        parse_duration(self.over)

    @property
    def over_ms(self) -> int:
        """``over`` in milliseconds."""
        return parse_duration(self.over)


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRule(AlertRule):
    """Tells when one of a stage's counters rises, such as that of examples the learner refused.

    Parameters
    ----------
    stage, counter : str
        Whose and which; ``riverrun status --json`` shows them.
    """

    kind: ClassVar[str] = "counter"

    stage: str
    counter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionRule(AlertRule):
    """Tells when another model becomes the champion."""

    kind: ClassVar[str] = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """By which way alerts reach somebody; more can be added while the pipeline runs.

    Parameters
    ----------
    name : str
        Unique among the pipeline's routes.
    channel : {"webhook", "apprise"}
        A signed POST, or a service that Apprise knows (e-mail, Slack, Teams, PagerDuty and many more).
    url : str
        The webhook's address. Empty for Apprise, whose URLs are secrets.
    secret : str
        Name of what is kept out of the file: the setting ``RIVERRUN_CHANNEL_<SECRET>`` holds the webhook's ``whsec_``
        secret, or Apprise's URL.
    min_severity : {"info", "warning", "critical"}
        Nothing less is brought.
    segments : sequence of str
        Only alerts about these, written ``carrier=UA``; all if empty.
    rules : sequence of str
        Only alerts of these rules; all if empty.
    """

    name: str
    secret: str
    channel: Channel = "webhook"
    url: str = ""
    min_severity: Severity = "info"
    segments: Sequence[str] = ()
    rules: Sequence[str] = ()
    location: Location | None = field(default_factory=caller_location, repr=False, compare=False)

    def __post_init__(self) -> None:
        for what in ("name", "secret", "url"):
            if not isinstance(getattr(self, what), str):
                raise DefinitionError(f"{what}= of a route is a text, not {getattr(self, what)!r}", code="bad-route")
        if self.channel not in get_args(Channel):
            raise DefinitionError(
                f"{self.channel!r} is no channel", hint='use "webhook" or "apprise"', code="bad-route"
            )
        _check_severity("min_severity", self.min_severity)
        for what in ("segments", "rules"):
            object.__setattr__(self, what, _texts(what, getattr(self, what)))


def _check_severity(what: str, given: object) -> None:
    if given not in SEVERITIES:
        raise DefinitionError(f"{what}= is {given!r}", hint=f"use one of {', '.join(SEVERITIES)}", code="bad-alert")


def _check_number(what: str, given: object) -> None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise DefinitionError(f"{what}= of an alert is a number, not {given!r}", code="bad-alert")


def _texts(what: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(each, str) for each in given):
        raise DefinitionError(f"{what}= is a list of texts, not {given!r}", code="bad-alert")
    return tuple(given)


REFUSED_MODELS: Final = CounterRule(
    name="riverrun.refused-models", stage="score", counter="models_refused", severity="critical", location=None
)
"""A model that was forged, damaged or replayed is news."""

REFUSED_CHECKPOINTS: Final = CounterRule(
    name="riverrun.refused-checkpoints",
    stage="learn",
    counter="checkpoints_refused",
    severity="critical",
    location=None,
)
"""So is the learner's own file in the model store that was forged or damaged."""

OWN_RULES: Final = (REFUSED_MODELS, REFUSED_CHECKPOINTS)
"""Every pipeline's own, unless it has another on the same counter."""
