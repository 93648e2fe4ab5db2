"""Predictions over HTTP on real servers: what is answered, what is logged, and that every promise holds after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from math import exp

import pytest

from riverrun.embedded import EmbeddedCluster
from riverrun.models.modelset import build_models
from riverrun.records.items import Example, Prediction, Vector
from riverrun.records.topics import Kind
from services.gateway.answering import ANSWER
from tests.cli.commands import run
from tests.gateway.folds import Folds
from tests.gateway.world import GatewayWorld, answered, asked, until

MINUTE = 60_000
START = 1_700_000_000_000
NAME = "gw-predictions"
PREDICT = f"/v1/pipelines/{NAME}/predict"
ASKED = f"{NAME}-raw.asked"


def _predicted(world: GatewayWorld, count: int) -> bool:
    return len(world.items(Kind.PREDICTIONS)) >= count


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, cluster: EmbeddedCluster) -> Iterator[GatewayWorld]:
    """A world of these tests' own, in which every prediction is known."""
    made = GatewayWorld(tmp_path_factory.mktemp("predictions"), cluster.addresses, NAME)
    yield made
    made.close()


@pytest.fixture(scope="module")
def ran(world: GatewayWorld) -> list[dict[str, object]]:
    """Ask for predictions one after the other, and send each one's label; wait until all is folded."""
    world.start_stages()
    answers = []
    for number in range(60):
        at = START + number * MINUTE
        reply = world.ask("POST", PREDICT, asked(number, at, size=float(number % 7)))
        assert reply.status == 200, reply
        answers.append(reply.document)
        if number % 5 == 4:
            # Let the workers catch up now and then: else nothing is stored that an answer could be made of.
            until(partial(_predicted, world, number + 1), "the stream's predictions")
        if number % 3:
            label = answered(number, at + MINUTE // 2, float(number % 5))
            assert world.ask("POST", "/v1/streams/answered", label).status == 202
    # Beyond everybody's wait, so that every prediction ends.
    last = [asked(1_000 + number, START + 200 * MINUTE) for number in range(8)]
    reply = world.ask("POST", PREDICT, last)
    assert (reply.status, len(reply.document)) == (200, 8)
    until(lambda: len(world.items(Kind.PREDICTIONS)) == 68, "68 predictions")
    until(lambda: len(world.items(Kind.EXAMPLES)) >= 60, "60 examples")
    return answers


def test_each_request_is_predicted_on_once_by_the_stream(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """Every request's event is in `predictions` once, made from the very record that the answer names."""
    found = [each for each in world.items(Kind.PREDICTIONS) if isinstance(each, Prediction)]
    assert sorted(each.id for each in found) == sorted(
        [*(f"q{n}" for n in range(60)), *(f"q{1000 + n}" for n in range(8))]
    )
    sources = world.sources(Kind.EVENTS)
    for answer in ran:
        record = answer["record"]
        assert isinstance(record, dict)
        assert sources[str(answer["id"])] == (record["topic"], record["partition"], record["offset"])


def test_labels_join_as_if_it_had_come_by_the_stream(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """Requests whose label was sent are labelled by it, the others default: the ledger adds up."""
    outcomes = {each.id: (each.outcome, each.label) for each in world.items(Kind.EXAMPLES) if isinstance(each, Example)}
    for number in range(len(ran)):
        expected = ("labelled", float(number % 5 > 2)) if number % 3 else ("defaulted", 0.0)
        assert outcomes[f"q{number}"] == expected
    ledger = world.ask("GET", f"/v1/pipelines/{NAME}/ledger").document
    assert (
        ledger["predictions"] == ledger["labelled"] + ledger["defaulted"] + ledger["expired"] + ledger["pending"] == 68
    )


def test_an_answer_can_be_recomputed_from_the_log(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """A request's record says in a header which partials were read: folded anew up to there, they give the features."""
    records = {(record.partition, record.offset): dict(record.headers) for record in world.records(ASKED)}
    folds = Folds(world.deployment)
    reads = 0
    for answer in ran:
        place = answer["record"]
        assert isinstance(place, dict)
        said = json.loads(records[place["partition"], place["offset"]][ANSWER] or b"")
        found = said["model"], said["version"], said["score"]
        assert found == (answer["model"], answer["version"], answer["prediction"])
        assert folds.features(str(answer["id"]), said["reads"]) == answer["features"]
        reads += len(said["reads"])
    assert reads > 50


def test_scores_are_the_models_own(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """Before anything was learned the score is an untrained model's; later answers come from later versions."""
    pipeline = world.deployment.pipeline
    (learner,) = build_models(pipeline.models, pipeline.task).learners
    features = ran[0]["features"]
    assert isinstance(features, dict)
    assert ran[0]["prediction"] == learner.predict(features)
    assert ran[0]["version"] == 0
    until(lambda: _version(world) >= 60, "a later version is served")


def _version(world: GatewayWorld) -> int:
    reply = world.ask("POST", PREDICT, {"who": "late", "place": "x", "at": START, "size": 1.0})
    assert reply.status == 200, reply
    return int(reply.document["version"])


def test_contributions_add_up(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """The contributions of a logistic regression sum up to the log-odds of its score."""
    until(lambda: _version(world) > 0, "a trained version is served")
    document = world.ask("POST", PREDICT, {"who": "c", "place": "x", "at": START, "size": 3.0}).document
    raw = sum(document["contributions"].values())
    assert abs(1.0 / (1.0 + exp(-raw)) - document["prediction"]) < 1e-12
    assert len(document["contributions"]) > 1


def test_a_repeated_id_is_answered_and_predicted_on_once(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """Who asks again with the same id is answered again, and the stream still predicts on it once."""
    event = asked(5_000, START + 210 * MINUTE)
    assert world.ask("POST", PREDICT, event).status == 200
    assert world.ask("POST", PREDICT, event).status == 200
    marker = asked(5_000, START + 211 * MINUTE, id="after")
    assert world.ask("POST", PREDICT, marker).status == 200
    until(
        lambda: "after" in {each.id for each in world.items(Kind.PREDICTIONS) if isinstance(each, Prediction)},
        "the marker",
    )
    ids = [each.id for each in world.items(Kind.PREDICTIONS) if isinstance(each, Prediction)]
    assert ids.count("q5000") == 1


def test_vectors_agree_when_the_stream_is_quiet(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """When the workers have stored all they folded, the features of an answer are those of the stream's own vector."""
    event = asked(6_000, START + 212 * MINUTE)
    until(lambda: _settled(world, event), "the stream's vector equals the answer's")


def _settled(world: GatewayWorld, event: dict[str, object]) -> bool:
    event["id"] = f"quiet-{event['at']}"
    event["at"] = int(str(event["at"])) + 1
    document = world.ask("POST", PREDICT, event).document
    found: list[Vector] = []

    def there() -> bool:
        found[:] = [
            each for each in world.items(Kind.VECTORS) if isinstance(each, Vector) and each.id == document["id"]
        ]
        return bool(found)

    until(there, "the vector")
    values = dict(zip(world.deployment.pipeline.feature_names, found[0].values, strict=True))
    return bool(values == document["features"])


def test_verify_is_green_after_all_of_it(world: GatewayWorld, ran: list[dict[str, object]]) -> None:
    """`riverrun verify` finds every promise kept: what came by HTTP is as any other."""
    world.stop_stages()
    environment = {**world.addresses.as_environment(), "RIVERRUN_DATA": str(world.settings.data_folder)}
    result = run("verify", world.file, "--json", "--jobs", "1", environment=environment)
    assert (result.code, result.document["verified"]) == (0, True), result
