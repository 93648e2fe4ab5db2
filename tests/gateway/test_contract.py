"""The OpenAPI document against the running gateway, by Schemathesis with all its checks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, BaseSchema, GenerationMode
from schemathesis.core.result import Ok

from tests.gateway.world import GatewayWorld

ENDLESS = "followAlerts"
"""Its answer does not end: it has tests of its own."""
EXAMPLES = 5
Operation = APIOperation[Any, Any, Any, Any]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def api(world: GatewayWorld) -> BaseSchema:
    """The document, as callers get it."""
    return schemathesis.openapi.from_url(f"{world.gateway.url}/openapi.json", headers=_key(world))


def _key(world: GatewayWorld) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.key}"}


def _operations(api: BaseSchema) -> Iterator[Operation]:
    for found in api.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.definition.raw["operationId"] != ENDLESS:
            yield operation


@pytest.mark.parametrize("mode", MODES)
def test_every_operation_keeps_the_contract(api: BaseSchema, world: GatewayWorld, mode: GenerationMode) -> None:
    """Whatever is sent, answers are as the document says: statuses, types, schemas, problems, keys."""
    tried: set[str] = set()
    for operation in _operations(api):
        # Nothing wrong can be sent where nothing is to be sent at all.
        with contextlib.suppress(Unsatisfiable):
            _try(operation, world, mode, tried)
    wanted = {
        operation.label
        for operation in _operations(api)
        if mode is GenerationMode.POSITIVE or operation.body or operation.query
    }
    assert tried >= wanted


def _try(operation: Operation, world: GatewayWorld, mode: GenerationMode, tried: set[str]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case[Any]) -> None:
        tried.add(operation.label)
        case.call_and_validate(headers=_key(world))

    check()
