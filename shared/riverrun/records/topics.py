"""The names of the topics that a pipeline owns."""

from __future__ import annotations

from enum import StrEnum

from riverrun.errors import RiverrunError
from riverrun.records.items import (
    Alert,
    AlertCommand,
    DeadLetter,
    Drift,
    Evaluation,
    Event,
    Example,
    ModelAlias,
    ModelVersion,
    Prediction,
    Progress,
    Vector,
)

__all__ = [
    "COMPACTED",
    "KIND_OF_CLASS",
    "SINGLE_PARTITION",
    "Kind",
    "kind_of_topic",
    "topic_name",
]


class Kind(StrEnum):
    """What a topic of a pipeline holds; the value is the last part of the topic's name."""

    EVENTS = "events"
    DEAD_LETTERS = "dead-letters"
    VECTORS = "vectors"
    PREDICTIONS = "predictions"
    EXAMPLES = "examples"
    EVALUATIONS = "evaluations"
    MODELS = "models"
    DRIFT = "drift"
    ALERTS = "alerts"
    ALERT_COMMANDS = "alert-commands"
    ALERT_SIGNALS = "alert-signals"
    PROGRESS = "progress"
    SCHEMAS = "schemas"


SINGLE_PARTITION = frozenset(
    {Kind.EXAMPLES, Kind.MODELS, Kind.ALERTS, Kind.ALERT_COMMANDS, Kind.ALERT_SIGNALS, Kind.SCHEMAS}
)
"""Topics that do not have as many partitions as the producers' topics."""

COMPACTED = frozenset({Kind.MODELS, Kind.SCHEMAS})
"""Topics of which only the newest record of each key is kept."""

KIND_OF_CLASS: dict[type, Kind] = {
    Event: Kind.EVENTS,
    DeadLetter: Kind.DEAD_LETTERS,
    Vector: Kind.VECTORS,
    Prediction: Kind.PREDICTIONS,
    Example: Kind.EXAMPLES,
    Evaluation: Kind.EVALUATIONS,
    ModelVersion: Kind.MODELS,
    ModelAlias: Kind.MODELS,
    Drift: Kind.DRIFT,
    Alert: Kind.ALERTS,
    AlertCommand: Kind.ALERT_COMMANDS,
    Progress: Kind.PROGRESS,
}
"""The kind of topic on which a record travels, by its class."""


def topic_name(pipeline: str, kind: Kind) -> str:
    """Return the name of a pipeline's topic.

    Examples
    --------
    >>> topic_name("flight-delay", Kind.DEAD_LETTERS)
    'flight-delay.dead-letters'
    """
    return f"{pipeline}.{kind.value}"


def kind_of_topic(topic: str) -> Kind:
    """Return what one of riverrun's own topics holds.

    Raises
    ------
    RiverrunError
        If the name does not end in a kind: it is not a topic that riverrun writes.

    Examples
    --------
    >>> kind_of_topic("flight-delay.vectors")
    <Kind.VECTORS: 'vectors'>
    """
    suffix = topic.rpartition(".")[2]
    try:
        return Kind(suffix)
    except ValueError:
        raise RiverrunError(
            f"topic {topic!r} is not one of riverrun's own",
            hint="theirs end in " + ", ".join(f".{kind.value}" for kind in Kind),
        ) from None
