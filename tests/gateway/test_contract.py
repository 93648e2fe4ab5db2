"""The OpenAPI document against the running gateway, by Schemathesis: all its phases, all its checks.

The pipeline has a rule, which the document says. One that JSON Schema cannot say, such as of two fields, is left to
`test_event_schema`: events that the document allows would break it, and Schemathesis would call their refusal a fault.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import pytest
import schemathesis
from schemathesis import BaseSchema, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.engine import events, from_schema

from riverrun.api_keys import SCOPES
from riverrun.embedded import EmbeddedCluster
from tests.gateway.world import GatewayWorld, answered, asked, until

NAME: Final = "gw-contract"
START: Final = 1_700_000_000_000
EVENTS: Final = 1_000
"""As many as an evaluation takes."""

BASE: Final = "/v1/pipelines/{pipeline}"
LIVE: Final = f"{BASE}/alerts/live"
ENDLESS: Final = "followAlerts"
"""Its good answer does not end, so only what it refuses can be tried like the others."""

TRIES: Final = 15
"""How many requests are made up for an operation, beside the examples and those that cover its schema."""

LONG_S: Final = 5.0
GOOD: Final = {200, 202}
LACKING: Final = {
    f"GET {BASE}/dead-letters/{{name}}",
    f"POST {BASE}/dead-letters/replay",
}
"""Their examples name a dead letter, and which there are nobody can say beforehand."""
Document = dict[str, Any]


class Run:
    """What Schemathesis found.

    Parameters
    ----------
    api
        The document.
    phases
        Which of its phases to go through.
    """

    def __init__(self, api: BaseSchema, *phases: str) -> None:
        self.faults: list[str] = []
        self.statuses: dict[str, set[int]] = {}
        for name in ("examples", "coverage", "fuzzing", "stateful"):
            api.config.phases.get_by_name(name=name).enabled = name in phases
        for event in from_schema(api).execute():
            if isinstance(event, events.ScenarioFinished):
                self._take(event)
            elif isinstance(event, events.NonFatalError | events.FatalError):
                self.faults.append(repr(event))

    def _take(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        for name, interaction in recorder.interactions.items():
            node, response = recorder.cases[name], interaction.response
            label = node.value.operation.label
            if response is None:
                self.faults.append(f"{event.phase.value}: {label}: no answer")
            elif node.parent_id is None or node.transition is not None:
                # Others are sent by the checks, to see what becomes of a request without a key.
                self.statuses.setdefault(label, set()).add(response.status_code)
        for checks in recorder.checks.values():
            for check in checks:
                if check.failure_info is not None:
                    failure, sent = check.failure_info.failure, check.failure_info.code_sample
                    self.faults.append(f"{event.phase.value}: {check.name}: {failure.message}\n{sent}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, cluster: EmbeddedCluster) -> Iterator[GatewayWorld]:
    """A world of these tests' own, since made-up events are in others' way; it has some of all one can ask for."""
    made = GatewayWorld(tmp_path_factory.mktemp("contract"), cluster.addresses, NAME)
    made.start_stages()
    made.publish_raw(f"{NAME}-raw.asked", b"k", b"{broken")
    made.raise_alert("a1")
    questions = [asked(number, START + number) for number in range(EVENTS)]
    answers = [answered(number, START + number + EVENTS, number % 5) for number in range(EVENTS)]
    for stream, events_of_it in (("asked", questions), ("answered", answers)):
        assert made.ask("POST", f"/v1/streams/{stream}", events_of_it).status == 202
    path = f"/v1/pipelines/{NAME}"
    assert made.ask("PUT", f"{path}/subscriptions/on-call", {"channel": "apprise", "secret": "A"}).status == 202
    for what in ("models", "aliases", "evaluations", "dead-letters", "alerts"):
        until(partial(lambda it: made.ask("GET", f"{path}/{it}").document, what), what)
    until(lambda: "on-call" in json.dumps(made.ask("GET", f"{path}/subscriptions").document), "the subscription")
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(world: GatewayWorld) -> Document:
    """The document, as callers get it."""
    found: Document = world.ask("GET", "/openapi.json").document
    return found


def _api(world: GatewayWorld, document: Document) -> BaseSchema:
    """Return what the document says of the running gateway, to be tried with a key for everything."""
    api = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    key = {"Authorization": f"Bearer {world.key}"}
    api.config.update(base_url=world.gateway.url, headers=key, request_timeout=LONG_S, continue_on_failure=True)
    # The right key alone: Schemathesis would send made-up ones beside it, and most requests would get no further.
    api.config.generation.update(max_examples=TRIES, deterministic=True, with_security_parameters=False)
    # A list that is longer than is allowed may be refused by its bytes, before anybody counts.
    rejection = api.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]
    return api


def _labels(api: BaseSchema, *, given: bool = False) -> Iterator[str]:
    """Return all operations, or those to which something is given."""
    for found in api.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if not given or operation.body or operation.query or operation.path_parameters:
            yield operation.label


@pytest.mark.parametrize("phase", ["coverage", "fuzzing", "stateful"])
def test_every_operation_keeps_the_contract(world: GatewayWorld, document: Document, phase: str) -> None:
    """Whatever is sent, good and bad, answers are as the document says: statuses, types, schemas, problems, keys."""
    api = _api(world, document).exclude(operation_id=ENDLESS)
    # What was answered is asked for in one phase, for good answers; in the other it would crowd out all else.
    api.config.phases.fuzzing.extra_data_sources.responses = False
    run = Run(api, phase)
    assert run.faults == []
    if phase == "stateful":
        # That goes from one operation to another, where an answer has what another asks for.
        assert len(run.statuses) >= 3
    else:
        assert set(run.statuses) == set(_labels(api))
    if phase == "coverage":
        assert [label for label, statuses in run.statuses.items() if not statuses & GOOD] == []


def test_every_example_is_good(world: GatewayWorld, document: Document) -> None:
    """Sent as they are, the examples of parameters and bodies succeed, but for those that name what is not there."""
    api = _api(world, document).exclude(operation_id=ENDLESS)
    api.config.phases.examples.extra_data_sources.responses = False
    run = Run(api, "examples")
    assert run.faults == []
    assert set(run.statuses) == set(_labels(api, given=True))
    for label, statuses in run.statuses.items():
        assert statuses <= (GOOD | {404} if label in LACKING else GOOD), label


def test_what_the_endless_route_refuses_keeps_the_contract(world: GatewayWorld, document: Document) -> None:
    """Made-up bad requests end, and by answers that the document has."""
    api = _api(world, document).include(operation_id=ENDLESS)
    api.config.generation.update(modes=[GenerationMode.NEGATIVE])
    run = Run(api, "coverage", "fuzzing")
    assert run.faults == []
    (statuses,) = run.statuses.values()
    # One whose only fault are parameters that nobody knows is no bad request, here as on every other route.
    assert {404, 405, 422} <= statuses <= {200, 404, 405, 422}


@pytest.mark.parametrize(
    ("key", "place", "status"),
    [
        ("", {}, 401),
        ("wrong", {}, 401),
        ("operate", {}, 403),
        ("read", {"query": {"after": -2}}, 422),
        ("read", {"query": {"after": "the last"}}, 422),
        ("read", {"path_parameters": {"pipeline": "other"}}, 404),
        ("read", {"method": "POST"}, 405),
    ],
)
def test_each_error_of_the_endless_route_is_a_documented_problem(
    world: GatewayWorld, document: Document, key: str, place: dict[str, Any], status: int
) -> None:
    """Without a key or scope, with a bad parameter, at a wrong place: its status, type and schema are right."""
    case = _api(world, document)[LIVE]["GET"].Case(**{"path_parameters": {"pipeline": NAME}, **place})
    headers = {"Authorization": f"Bearer {world.only[SCOPES[key]] if key in SCOPES else key}"} if key else {}
    response = case.call(headers=headers, timeout=LONG_S)
    case.validate_response(response, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == ["application/problem+json"]


def _versions(document: Document) -> Document:
    operation: Document = document["paths"][f"{BASE}/models"]["get"]
    return operation


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (lambda it: _versions(it)["responses"].pop("422"), "status_code_conformance"),
        # A greater one, not none: the bounds that a document names are tried whatever the chances.
        (lambda it: _versions(it)["parameters"][1]["schema"].update(maximum=1 << 70), "positive_data_acceptance"),
        (lambda it: _versions(it)["parameters"][1]["schema"].update(maximum=10), "negative_data_rejection"),
        (
            lambda it: _versions(it)["responses"]["200"]["content"]["application/json"]["schema"].update(type="object"),
            "response_schema_conformance",
        ),
        (lambda it: it["components"]["schemas"]["Problem"]["properties"].pop("errors"), "response_schema_conformance"),
        (
            lambda it: _versions(it)["responses"].update({"422": {"description": "", "content": {"text/plain": {}}}}),
            "content_type_conformance",
        ),
    ],
)
def test_a_false_document_would_be_noticed(
    world: GatewayWorld, document: Document, spoil: Callable[[Document], object], check: str
) -> None:
    """What the document says wrongly of one operation is found, and by the check that is for it."""
    spoilt = copy.deepcopy(document)
    spoil(spoilt)
    api = _api(world, spoilt).include(operation_id="listVersions")
    assert any(f": {check}: " in fault for fault in Run(api, "coverage", "fuzzing").faults)
