"""A prediction problem as a whole: streams, features, label and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from riverrun.pipeline.alerts import OWN_RULES, AlertRule, CounterRule, Route
from riverrun.pipeline.drift import Drift
from riverrun.pipeline.durations import Duration, parse_duration
from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.expressions import Aggregate, Expression, FieldRef
from riverrun.pipeline.kinds import ValueType, kind_of
from riverrun.pipeline.label import Label
from riverrun.pipeline.locations import Location, caller_location
from riverrun.pipeline.model import Model
from riverrun.pipeline.schemas import Kind
from riverrun.pipeline.streams import Stream
from riverrun.pipeline.traversal import aggregates_in, describe, walk

__all__ = ["RESERVED_FEATURE_NAMES", "Pipeline", "Task"]

Task = Literal["binary", "regression"]

RESERVED_FEATURE_NAMES = ("id", "key", "time", "event_seq", "reads")
"""Fields that every vector has besides its features."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pipeline:
    """A prediction problem. A pipeline file holds exactly one.

    Parameters
    ----------
    name : str
        Prefix of the pipeline's topics; letters, digits, ``-`` and ``_``.
    predict_on : Stream
        Whose every event asks for a prediction.
    features : mapping of str to Expression
        The vector: arithmetic over fields of ``predict_on`` and aggregates, in this order.
    label : Label
        What is predicted.
    champion : Model
        The model whose predictions count.
    challengers : sequence of Model
        Models that predict and learn in its shadow.
    streams : sequence of Stream
        Streams to read besides those that the rest refers to.
    rules : sequence of Expression
        Conditions, each over one stream, that an event must not break; a missing value breaks none.
    metrics : sequence of callable
        What builds the metrics of the evaluation, such as River's ``metrics.LogLoss``; the first ranks
        models.
    alerts : sequence of AlertRule or Route
        What people want to be told of, and by which way.
    drift : Drift, optional
        What is watched for drift; nothing if left out.
    dedupe : duration
        How long an event's id is remembered, in event time.
    snapshot_every : int
        How many examples are learned between two published snapshots of a model.

    Raises
    ------
    DefinitionError
        If a parameter is of the wrong type. All that takes more than a glance is left to ``riverrun check``.
    """

    name: str
    predict_on: Stream
    features: Mapping[str, Expression]
    label: Label
    champion: Model
    challengers: Sequence[Model] = ()
    streams: Sequence[Stream] = ()
    rules: Sequence[Expression] = ()
    metrics: Sequence[Callable[[], object]] = ()
    alerts: Sequence[AlertRule | Route] = ()
    drift: Drift | None = None
    dedupe: Duration = "24h"
    snapshot_every: int = 10_000
    location: Location | None = field(default_factory=caller_location, repr=False)

    def __post_init__(self) -> None:
        for what, kind in (("name", str), ("predict_on", Stream), ("label", Label), ("champion", Model)):
            if not isinstance(getattr(self, what), kind):
                raise DefinitionError(
                    f"{what}= of a pipeline is a {kind.__name__}, not {getattr(self, what)!r}",
                    code="bad-pipeline",
                )
        if not isinstance(self.features, Mapping):
            raise DefinitionError("features= of a pipeline is a dict of expressions by name", code="bad-pipeline")
        if isinstance(self.snapshot_every, bool) or not isinstance(self.snapshot_every, int):
            raise DefinitionError(f"snapshot_every= is a count, not {self.snapshot_every!r}", code="bad-pipeline")
        parse_duration(self.dedupe)
        for what, kind in (("challengers", Model), ("streams", Stream)):
            if not all(isinstance(each, kind) for each in getattr(self, what)):
                raise DefinitionError(f"{what}= of a pipeline is a list of {kind.__name__}", code="bad-pipeline")
            object.__setattr__(self, what, tuple(getattr(self, what)))
        if not isinstance(self.drift, Drift | None):
            raise DefinitionError(f"drift= of a pipeline is a Drift, not {self.drift!r}", code="bad-pipeline")
        if not all(isinstance(each, AlertRule | Route) for each in self.alerts):
            raise DefinitionError("alerts= of a pipeline is a list of alert rules and routes", code="bad-pipeline")
        object.__setattr__(self, "alerts", tuple(self.alerts))
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "metrics", tuple(self.metrics))
        object.__setattr__(self, "streams", self._collect_streams())

    def _collect_streams(self) -> tuple[Stream, ...]:
        """Return all streams, by name: whatever the order in which features mention them."""
        found = {id(stream): stream for stream in (self.predict_on, *self.streams)}
        for expression in (*self.features.values(), self.label.value, *self.rules):
            if isinstance(expression, Expression):
                for node in walk(expression):
                    if isinstance(node, FieldRef | Aggregate):
                        found[id(node.stream)] = node.stream
        return tuple(sorted(found.values(), key=lambda stream: (stream.name, stream.topic)))

    @property
    def dedupe_ms(self) -> int:
        """``dedupe`` in milliseconds."""
        return parse_duration(self.dedupe)

    @property
    def models(self) -> tuple[Model, ...]:
        """The champion and the challengers."""
        return (self.champion, *self.challengers)

    @property
    def alert_rules(self) -> tuple[AlertRule, ...]:
        """The rules among ``alerts``, and those always there: somebody must hear that a model's file was refused."""
        rules = tuple(each for each in self.alerts if isinstance(each, AlertRule))
        watched = {(each.stage, each.counter) for each in rules if isinstance(each, CounterRule)}
        return rules + tuple(each for each in OWN_RULES if (each.stage, each.counter) not in watched)

    @property
    def alert_routes(self) -> tuple[Route, ...]:
        """The routes among ``alerts``."""
        return tuple(each for each in self.alerts if isinstance(each, Route))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features' names, in the vector's order."""
        return tuple(self.features)

    @property
    def feature_kinds(self) -> dict[str, ValueType]:
        """The features' kinds and whether they may be missing, in the vector's order.

        Raises
        ------
        ExpressionError
            If a feature has none.
        """
        return {name: kind_of(expression) for name, expression in self.features.items()}

    @property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """The different aggregates that the features are made of, in order of appearance."""
        found = {describe(each): each for feature in self.features.values() for each in aggregates_in(feature)}
        return tuple(found.values())

    @property
    def task(self) -> Task:
        """Whether a condition is predicted or a number.

        Raises
        ------
        ExpressionError
            If the label is neither.
        """
        return "binary" if kind_of(self.label.value).kind is Kind.BOOL else "regression"

    @property
    def label_stream(self) -> Stream:
        """The stream whose events bring the labels.

        Raises
        ------
        DefinitionError
            If the label refers to no field.
        """
        for node in walk(self.label.value):
            if isinstance(node, FieldRef | Aggregate):
                return node.stream
        raise DefinitionError("the label refers to no stream's field", code="bad-label", location=self.label.location)

    def stream_named(self, name: str) -> Stream:
        """Return the stream of a short name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(name)

    def rules_for(self, stream: Stream) -> tuple[Expression, ...]:
        """Return the rules that a stream's events must not break, in the order of the file."""
        return tuple(
            rule for rule in self.rules if any(isinstance(n, FieldRef) and n.stream is stream for n in walk(rule))
        )
