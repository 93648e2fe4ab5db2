"""Models, aliases, evaluations and the label ledger: what can be seen of learning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query

from riverrun.api_keys import Scope
from riverrun.records.items import Evaluation, ModelVersion
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts
from services.gateway.problems import Problem, ProblemKind
from services.gateway.routes.documents import AliasDocument, EvaluationDocument, LedgerDocument, VersionDocument
from services.gateway.routes.numbers import PLAIN

__all__ = ["routes"]

_BASE = "/v1/pipelines/{pipeline}"
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many, the newest.", examples=[20]), PLAIN]
Name = Annotated[str, Path(description="A model's name, or an alias such as `champion`.", examples=["champion"])]


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=GuardedRoute, tags=["models"])
    _of_models(router, parts)
    _of_learning(router, parts)
    return router


def _of_models(router: APIRouter, parts: Parts) -> None:
    read = needs(Scope.READ)

    @router.get(
        _BASE + "/models",
        operation_id="listVersions",
        summary="List published versions.",
        description="Of all models, the newest last, as far as the topic still holds them.",
        openapi_extra=read,
    )
    async def versions(pipeline: str, limit: Limit = 100) -> list[VersionDocument]:
        parts.check(pipeline)
        return [_version(each) for each in parts.models.versions()[-limit:]]

    @router.get(
        _BASE + "/models/{model}",
        operation_id="getModel",
        summary="A model's newest version.",
        description="An alias leads to the model that has it at present.",
        openapi_extra=read,
    )
    async def newest(pipeline: str, model: Name) -> VersionDocument:
        parts.check(pipeline)
        name = next((each.model for each in reversed(parts.models.aliases()) if each.alias == model), model)
        for each in reversed(parts.models.versions()):
            if each.model == name:
                return _version(each)
        raise Problem(ProblemKind.NOT_FOUND, f"no version of {model!r:.100} is published")

    @router.get(
        _BASE + "/aliases",
        operation_id="listAliases",
        summary="List changes of aliases.",
        description="The newest last: who made which model the champion, and why. The last change of an alias counts.",
        openapi_extra=read,
    )
    async def aliases(pipeline: str) -> list[AliasDocument]:
        parts.check(pipeline)
        return [
            AliasDocument(alias=each.alias, model=each.model, author=each.author, reason=each.reason)
            for each in parts.models.aliases()
        ]


def _of_learning(router: APIRouter, parts: Parts) -> None:
    read = needs(Scope.READ)

    @router.get(
        _BASE + "/evaluations",
        operation_id="listEvaluations",
        summary="List prequential figures, the newest last.",
        description="Measured on examples before they were learned: over all so far, and since the evaluation before.",
        openapi_extra=read,
    )
    async def evaluations(pipeline: str, limit: Limit = 100) -> list[EvaluationDocument]:
        parts.check(pipeline)
        found = await parts.asking.run(parts.archive.evaluations, limit)
        return [_evaluation(each) for each in found]

    @router.get(
        _BASE + "/ledger",
        operation_id="getLedger",
        summary="What became of the predictions.",
        description="Every prediction is pending until it is labelled, defaulted or expired: the four add up to all.",
        openapi_extra=read,
    )
    async def ledger(pipeline: str) -> LedgerDocument:
        parts.check(pipeline)
        return LedgerDocument(**await parts.asking.run(parts.archive.ledger))


def _version(item: ModelVersion) -> VersionDocument:
    return VersionDocument(
        model=item.model,
        version=item.position,
        time=item.time,
        digest=item.digest,
        feature_set=item.feature_set,
        metrics=finite(item.metrics),
    )


def _evaluation(item: Evaluation) -> EvaluationDocument:
    return EvaluationDocument(
        model=item.model,
        position=item.position,
        time=item.time,
        count=item.count,
        metrics=finite(item.metrics),
        window=finite(item.window),
    )


def finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Give what JSON can say: null for infinities and NaN."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
