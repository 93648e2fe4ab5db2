"""What each service and each tool may do on Kafka and Redis: the least with which it works.

The rights of a stage follow from its definition: it reads its inputs and what it wrote itself, writes its outputs and
the commit records, under its own transactional ids and in its own group. Nothing but the operator's account creates
topics and publishes schemas; run ``riverrun status FILE`` with it once, and again after the pipeline file has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from riverrun.pipeline import Pipeline
from riverrun.records.topics import Kind, topic_name
from riverrun.runtime.stage import StageDefinition

__all__ = ["Account", "Operation", "Resource", "Right", "accounts_of"]


class Resource(StrEnum):
    """What a right is about, as Kafka's tools call it."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Operation(StrEnum):
    """What may be done, as Kafka's tools call it. Reading and writing include describing."""

    READ = "Read"
    WRITE = "Write"
    DESCRIBE = "Describe"
    CREATE = "Create"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One thing that an account may do.

    Parameters
    ----------
    resource, name
        On what.
    operation
        What.
    prefixed
        Whether the name is the beginning of names.
    """

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """A service or a tool, with its user and all that this user may do.

    Parameters
    ----------
    service
        What it is for.
    user
        The user's name on Kafka and on Redis.
    kafka
        Its rights on Kafka.
    redis
        Its rights on Redis, in the words of ``ACL SETUSER``; none if it never calls Redis.
    """

    service: str
    user: str
    kafka: tuple[Right, ...]
    redis: tuple[str, ...] = ()


_KEEPING: Final = ("+fcall", "+function|load", "+info", "+get", "+set", "+del", "+unlink")
_KEEPING_ENTRIES: Final = ("+hset", "+hdel", "+hmget", "+hscan")
_LOOKING_UP: Final = ("+ping", "+hget")
_AUDITING: Final = ("+get", "+hscan")


def accounts_of(pipeline: Pipeline, stages: Mapping[str, StageDefinition]) -> list[Account]:
    """Return the accounts of a pipeline: each service's, then those of people's tools.

    Parameters
    ----------
    pipeline
        The pipeline.
    stages
        All stages that there are.
    """
    made = _Accounts(pipeline)
    services: dict[str, list[StageDefinition]] = {}
    for stage in stages.values():
        if stage.wanted(pipeline):
            # services/drift has two stages, and is one service all the same.
            services.setdefault(stage.name.partition("-")[0], []).append(stage)
    found = [made.of_stages(service, group) for service, group in services.items()]
    return [*found, made.alerts(), made.gateway(), made.operator(), made.auditor(), made.replayer()]


class _Accounts:
    """Makes the accounts of one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._name = pipeline.name
        self._streams = tuple(stream.topic for stream in pipeline.streams)
        self._pipeline = pipeline

    def of_stages(self, service: str, stages: Sequence[StageDefinition]) -> Account:
        rights = {*self._seeing(), *self._reading(Kind.PROGRESS, Kind.SCHEMAS), *self._writing(Kind.PROGRESS)}
        for stage in stages:
            outputs = stage.outputs(self._pipeline)
            # Its own outputs too: at the start it looks at where they end.
            for topic in (*stage.inputs(self._pipeline), *stage.replays(self._pipeline), *outputs):
                rights.add(Right(Resource.TOPIC, topic, Operation.READ))
            rights.update(Right(Resource.TOPIC, topic, Operation.WRITE) for topic in outputs)
            rights.add(Right(Resource.GROUP, f"riverrun.{self._name}.{stage.name}", Operation.READ))
            rights.add(self._transactions(stage.name))
        if service == "score":
            rights.update(self._reading(Kind.MODELS))
        return self._account(service, rights, self._state() if service == "features" else ())

    def alerts(self) -> Account:
        read = (Kind.DRIFT, Kind.EVALUATIONS, Kind.MODELS, Kind.PROGRESS, Kind.SCHEMAS)
        own = (Kind.ALERTS, Kind.ALERT_COMMANDS, Kind.ALERT_SIGNALS)
        rights = {*self._seeing(), *self._reading(*read, *own), *self._writing(Kind.ALERTS, Kind.ALERT_SIGNALS)}
        own_name = f"riverrun.{self._name}.alerts"
        rights |= {
            # The topics of Faust's tables bear its own name.
            Right(Resource.TOPIC, own_name, Operation.READ, prefixed=True),
            Right(Resource.TOPIC, own_name, Operation.WRITE, prefixed=True),
            Right(Resource.TOPIC, own_name, Operation.CREATE, prefixed=True),
            Right(Resource.GROUP, own_name, Operation.READ, prefixed=True),
            Right(Resource.TRANSACTIONAL_ID, own_name, Operation.WRITE, prefixed=True),
        }
        return self._account("alerts", rights)

    def gateway(self) -> Account:
        read = (Kind.MODELS, Kind.EVALUATIONS, Kind.DEAD_LETTERS, Kind.PROGRESS, Kind.SCHEMAS)
        rights = {*self._seeing(), *self._reading(*read, Kind.ALERTS, Kind.ALERT_COMMANDS)}
        rights |= {*self._producing(), *self._writing(Kind.ALERT_COMMANDS)}
        return self._account("gateway", rights, self._looking(*_LOOKING_UP))

    def operator(self) -> Account:
        rights = {*self._seeing(), *self._reading(Kind.PROGRESS, Kind.MODELS, Kind.SCHEMAS)}
        rights |= {
            *self._writing(Kind.SCHEMAS),
            Right(Resource.TOPIC, f"{self._name}.", Operation.CREATE, prefixed=True),
        }
        return self._account("operator", rights)

    def auditor(self) -> Account:
        rights = {*self._seeing(), Right(Resource.TOPIC, f"{self._name}.", Operation.READ, prefixed=True)}
        rights.update(Right(Resource.TOPIC, topic, Operation.READ) for topic in self._streams)
        return self._account("auditor", rights, self._looking(*_AUDITING))

    def replayer(self) -> Account:
        rights = {*self._seeing(), *self._reading(Kind.DEAD_LETTERS, Kind.SCHEMAS), *self._producing()}
        return self._account("replayer", rights)

    def _account(self, service: str, rights: Iterable[Right], redis: tuple[str, ...] = ()) -> Account:
        return Account(service, f"{self._name}-{service}", tuple(sorted(rights)), redis)

    def _seeing(self) -> set[Right]:
        """Every start looks whether the pipeline's topics and the producers' are there, and how they are divided."""
        seen = {Right(Resource.TOPIC, topic, Operation.DESCRIBE) for topic in self._streams}
        return {*seen, Right(Resource.TOPIC, f"{self._name}.", Operation.DESCRIBE, prefixed=True)}

    def _reading(self, *kinds: Kind) -> set[Right]:
        return {Right(Resource.TOPIC, topic_name(self._name, kind), Operation.READ) for kind in kinds}

    def _writing(self, *kinds: Kind) -> set[Right]:
        return {Right(Resource.TOPIC, topic_name(self._name, kind), Operation.WRITE) for kind in kinds}

    def _producing(self) -> set[Right]:
        return {Right(Resource.TOPIC, topic, Operation.WRITE) for topic in self._streams}

    def _transactions(self, stage: str) -> Right:
        # One id a partition.
        name = f"riverrun.{self._name}.{stage}."
        return Right(Resource.TRANSACTIONAL_ID, name, Operation.WRITE, prefixed=True)

    def _state(self) -> tuple[str, ...]:
        return (f"~riverrun:{{{self._name}:*", *_KEEPING, *_KEEPING_ENTRIES)

    def _looking(self, *commands: str) -> tuple[str, ...]:
        return (f"%R~riverrun:{{{self._name}:*", *commands)
