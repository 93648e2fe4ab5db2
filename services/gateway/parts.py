"""What the gateway is put together from: everything that its routes use, made by whoever starts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from riverrun.pipeline import Pipeline
from riverrun.records.codecs import Codecs
from riverrun.records.definition import PipelineSchemas
from riverrun.records.items import DeadLetter, Evaluation
from riverrun.runtime import metrics
from riverrun.runtime.meter import Sample
from services.gateway.admission import Admission
from services.gateway.answering import Answering, Publisher
from services.gateway.asking import Asking
from services.gateway.gate import Tally
from services.gateway.problems import Problem, ProblemKind
from services.gateway.registry import Registry
from services.gateway.settings import GatewaySettings
from services.gateway.trace_context import TracedRequests
from services.gateway.views import AlertsView, ModelsView

__all__ = ["Archive", "NamedLetter", "Parts", "Readiness"]


class NamedLetter(Protocol):
    """A dead letter and the name by which people refer to it."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    @property
    def letter(self) -> DeadLetter:
        """The dead letter."""
        ...

    @property
    def cut(self) -> bool:
        """Whether its key or value are longer than they are here."""
        ...


class Archive(Protocol):
    """What is read from the log when asked for; every call may take seconds, and raise `UnavailableError`."""

    def evaluations(self, limit: int) -> list[Evaluation]:
        """Return the newest evaluations, oldest first."""
        ...

    def ledger(self) -> Mapping[str, int]:
        """Return how many predictions there are, and what became of them."""
        ...

    def letters(self, limit: int, reason: str | None) -> Sequence[NamedLetter]:
        """Return excerpts of the newest dead letters, oldest first, of one reason or of all."""
        ...

    def letter(self, name: str) -> NamedLetter | None:
        """Return one dead letter with all its bytes, or None if there is none of this name."""
        ...

    def replay(self, names: Sequence[str]) -> list[str]:
        """Send dead letters again; return their names, or raise `KeyError` with those that do not exist."""
        ...


class Readiness(Protocol):
    """Tells what does not work at present."""

    async def troubles(self) -> dict[str, str]:
        """Return what is wrong, by the part that it is wrong with; nothing if all is well."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that the routes use.

    ``admissions`` has one for each stream, by its name; ``allowed_hosts`` are those that webhooks may go to though they
    are not public; ``close`` ends what was started for the gateway.
    """

    pipeline: Pipeline
    schemas: PipelineSchemas
    codecs: Codecs
    admissions: Mapping[str, Admission]
    answering: Answering
    publisher: Publisher
    models: ModelsView
    alerts: AlertsView
    registry: Registry
    archive: Archive
    asking: Asking
    readiness: Readiness
    settings: GatewaySettings
    allowed_hosts: frozenset[str]
    tally: Tally
    traced: TracedRequests
    close: Callable[[], None]

    def samples(self) -> list[Sample]:
        """Return what the gateway counts."""
        tally = self.tally
        return [
            *(Sample(metrics.RESPONSES, (str(each),), float(n)) for each, n in sorted(tally.by_status.items())),
            Sample(metrics.REQUESTS, (), float(tally.in_work)),
            Sample(metrics.LISTENERS, (), float(self.alerts.listeners)),
        ]

    def check(self, pipeline: str) -> None:
        """Raise a problem if this is not the pipeline's name."""
        if pipeline != self.pipeline.name:
            raise Problem(ProblemKind.NOT_FOUND, f"there is no pipeline {pipeline!r:.100} here")

    def admission(self, stream: str) -> Admission:
        """Return what takes in a stream's events, or raise a problem if there is no such stream."""
        found = self.admissions.get(stream)
        if found is None:
            raise Problem(ProblemKind.NOT_FOUND, f"there is no stream {stream!r:.100} here")
        return found
