"""The documents that routes return and take, with an example of each: what the OpenAPI document says of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "HTTPS_URL",
    "Acknowledged",
    "Acknowledgement",
    "AlertDocument",
    "AliasDocument",
    "DeadLetterDocument",
    "EvaluationDocument",
    "HealthDocument",
    "LedgerDocument",
    "NewApprise",
    "NewSubscription",
    "NewWebhook",
    "Replay",
    "Replayed",
    "SubscriptionDocument",
    "VersionDocument",
]

_TIME: Final = "Milliseconds since the epoch, UTC."
_TEXT: Final = r"^[^\u0000-\u001f]*$"
_PORT: Final = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_PLACE: Final = rf"://[A-Za-z0-9][A-Za-z0-9.-]*(:({_PORT}))?(/[!-~]*)?$"
HTTPS_URL: Final = "^https" + _PLACE
"""What a webhook's URL is like where the operator allows nothing else."""
Severity = Literal["info", "warning", "critical"]
_SEGMENT: Final = r"^[^=\s\u0000-\u001f\u007f-\u00a0][^=\u0000-\u001f]*=[^\u0000-\u001f\u0085\u2028\u2029]+$"
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.:-]+$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [example]})


def _given(example: dict[str, Any]) -> ConfigDict:
    # Members that nobody knows are passed over: a complaint about each would let a small body cause much work.
    return ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": [example]})


class VersionDocument(_Document):
    """A published version of a model."""

    model_config = _example(
        {
            "model": "line",
            "version": 10000,
            "time": 1735689600000,
            "digest": "ab" * 32,
            "feature_set": "0f3c9a7be5d21468",
            "metrics": {"LogLoss": 0.31},
        }
    )
    model: str
    version: int = Field(description="How many examples it had folded.")
    time: int = Field(description=f"Event time of the last of them. {_TIME}")
    digest: str = Field(description="Of the model's state.")
    feature_set: str = Field(description="Fingerprint of the vector's schema.")
    metrics: dict[str, float | None]


class AliasDocument(_Document):
    """A change of an alias; the last one of a name counts."""

    model_config = _example({"alias": "champion", "model": "line", "author": "ada", "reason": "better by 0.02"})
    alias: str
    model: str
    author: str
    reason: str


class EvaluationDocument(_Document):
    """A model's prequential figures after so many examples."""

    model_config = _example(
        {
            "model": "line",
            "position": 2000,
            "time": 1735689600000,
            "count": 1890,
            "metrics": {"LogLoss": 0.31},
            "window": {"LogLoss": 0.3},
        }
    )
    model: str
    position: int = Field(description="How many examples were folded.")
    time: int = Field(description=_TIME)
    count: int = Field(description="How many of them had a label.")
    metrics: dict[str, float | None] = Field(description="Over all.")
    window: dict[str, float | None] = Field(description="Since the last evaluation.")


class LedgerDocument(_Document):
    """What became of the predictions: they are labelled, defaulted, expired or pending, each exactly one of these."""

    model_config = _example(
        {"predictions": 100, "labelled": 90, "defaulted": 4, "expired": 1, "pending": 5, "revised": 2}
    )
    predictions: int
    labelled: int
    defaulted: int
    expired: int
    pending: int
    revised: int = Field(description="Labels that changed after they were learned; not part of the sum.")


class DeadLetterDocument(_Document):
    """A record that was not accepted."""

    model_config = _example(
        {
            "name": "0:17",
            "reason": "rule",
            "detail": "the event breaks the rule distance >= 0",
            "topic": "parcels.shipped",
            "partition": 0,
            "offset": 4711,
            "timestamp": 1735689600000,
            "key": "cDkwMA==",
            "value": "e30=",
            "cut": False,
        }
    )
    name: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str | None = Field(description="In base64.")
    value: str | None = Field(description="In base64.")
    cut: bool = Field(
        description="Whether key or value are longer than they are here; asked for by name, they never are."
    )


class Replay(_Document):
    """Which dead letters to send again."""

    model_config = _given({"names": ["0:17"]})
    names: list[Annotated[str, Field(pattern=r"^[0-9]{1,6}:[0-9]{1,15}$", max_length=22)]] = Field(
        min_length=1, max_length=1000
    )


class Replayed(_Document):
    """Dead letters that were sent again."""

    model_config = _example({"replayed": ["0:17"]})
    replayed: list[str]


class AlertDocument(_Document):
    """One step in the life of an incident."""

    model_config = _example(
        {
            "offset": 12,
            "id": "a1",
            "incident": "a1",
            "status": "raised",
            "rule": "quality",
            "kind": "quality",
            "severity": "warning",
            "subject": "line",
            "segment": {},
            "time": 1735689600000,
            "title": "LogLoss of line is 0.7",
            "text": "",
            "values": {"value": 0.7, "limit": 0.6},
            "level": 0,
            "suppressed": 0,
            "author": "",
            "note": "",
        }
    )
    offset: int = Field(
        description="Where its record lies: pass the greatest as `after` to go on, the least as `before` to go back."
    )
    id: str
    incident: str
    status: str
    rule: str
    kind: str
    severity: str
    subject: str
    segment: dict[str, str]
    time: int = Field(description=_TIME)
    title: str
    text: str
    values: dict[str, float | None]
    level: int
    suppressed: int
    author: str
    note: str


class Acknowledgement(_Document):
    """Why an alert needs no more attention."""

    model_config = _given({"note": "the depot's clock was wrong, it is being set"})
    note: str = Field(default="", max_length=500, pattern=_TEXT)


class Acknowledged(_Document):
    """The command that was given; what follows from it comes as an alert of the status `acknowledged`."""

    model_config = _example({"command": "0b7c3c1c8a2f4d7f9f6c6d0e5b1a2c3d", "offset": 3})
    command: str
    offset: int


class _NewSubscription(_Document):
    secret: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Z0-9_]+$",
        description="Not the secret itself: NAME of the setting RIVERRUN_CHANNEL_<NAME> that holds it.",
    )
    min_severity: Severity = "info"
    segments: list[Annotated[str, Field(max_length=200, pattern=_SEGMENT)]] = Field(
        default=[], max_length=50, description="Only these, each written name=value; empty for all."
    )
    rules: list[Name] = Field(default=[], max_length=50, description="Only alerts of these rules; empty for all.")


class NewWebhook(_NewSubscription):
    """Whom to tell of which alerts, by a signed POST."""

    model_config = _given(
        {"channel": "webhook", "url": "https://example.com/hook", "secret": "HOOK", "min_severity": "warning"}
    )
    channel: Literal["webhook"]
    url: str = Field(
        max_length=2000,
        pattern="^https?" + _PLACE,
        description=(
            "The webhook's URL, without a password. It begins with https and is at a public address, unless the "
            "operator allows the host."
        ),
    )


class NewApprise(_NewSubscription):
    """Whom to tell of which alerts, by a service that Apprise knows."""

    model_config = _given({"channel": "apprise", "secret": "MAIL", "min_severity": "warning"})
    channel: Literal["apprise"]
    url: ClassVar[str] = ""
    """Its URLs are secrets, and do not travel."""


NewSubscription = Annotated[NewWebhook | NewApprise, Field(discriminator="channel")]


class SubscriptionDocument(_Document):
    """A subscription: made by a command, or declared by the pipeline file."""

    model_config = _example(
        {
            "name": "on-call",
            "channel": "webhook",
            "url": "https://example.com/hook",
            "secret": "HOOK",
            "min_severity": "warning",
            "segments": [],
            "rules": [],
            "author": "ada",
            "declared": False,
        }
    )
    name: str
    channel: str
    url: str
    secret: str
    min_severity: str
    segments: list[str]
    rules: list[str]
    author: str = Field(description="Who made it; empty if the pipeline file declares it.")
    declared: bool = Field(description="Whether the pipeline file declares it: then it can be changed only there.")


class HealthDocument(_Document):
    """That the gateway works; what does not work is told by a problem document."""

    model_config = _example({"status": "ready", "troubles": {}})
    status: Literal["alive", "ready"]
    troubles: dict[str, str] = Field(description="Nothing. The problem that comes instead has what does not work here.")
