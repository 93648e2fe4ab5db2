"""Answers without servers: what a caller is told when Redis or Kafka is away, or when something of ours fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from riverrun.adapters.kafka_publisher import Outgoing, Receipt
from riverrun.errors import UnavailableError
from riverrun.events.decode import EventDecoder, Place
from riverrun.events.settings import IngestSettings
from riverrun.events.streams import streams_of
from riverrun.features import FeaturePlan
from riverrun.features.lookup import FeatureLookup, Wanted
from riverrun.launch.gateway import run_gateway
from riverrun.models.modelset import PinnedModels, build_models
from riverrun.runtime.ports import PartialEntry
from riverrun.testing.small_pipeline import make_pipeline
from riverrun.testing.small_world import make_codecs
from services.gateway.admission import Admission, Admitted, Limits
from services.gateway.answering import ANSWER, Answer, Answering, Champion, publish_all
from services.gateway.problems import Problem, ProblemKind
from services.gateway.shortcut import Shortcut

PIPELINE = make_pipeline("answers")
IDS, CODECS = make_codecs(PIPELINE)
EVENT = {"id": "a1", "who": "w", "place": "x", "at": 5, "size": 2.0}


class Partials:
    """A store with nothing in it, or one that is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away

    async def read(self, places: Sequence[Wanted]) -> list[PartialEntry | None]:
        """Find nothing."""
        if self.away:
            raise UnavailableError("Redis is away")
        return [None] * len(places)


class Publisher:
    """Confirms every record but those whose turn is to fail."""

    def __init__(self, fails: Callable[[int], bool] = lambda number: False) -> None:
        self.sent: list[Outgoing] = []
        self._fails = fails

    def publish(self, record: Outgoing) -> asyncio.Future[Receipt]:
        """Take a record."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if self._fails(len(self.sent)):
            future.set_exception(UnavailableError("Kafka is away"))
        else:
            future.set_result(Receipt(record.topic, 0, len(self.sent)))
        self.sent.append(record)
        return future


def _answering(partials: Partials, publisher: Publisher) -> Answering:
    models = build_models(PIPELINE.models, PIPELINE.task)
    champion = Champion(lambda: PinnedModels(models.learners, [7]))
    lookup = FeatureLookup(FeaturePlan.compile(PIPELINE), 1)
    return Answering(PIPELINE.feature_names, lookup, partials, champion, publisher)


def _admitted(count: int) -> list[Admitted]:
    settings = IngestSettings()
    (stream,) = [each for each in streams_of(PIPELINE, CODECS.streams) if each.schema.name == "asked"]
    admission = Admission(
        stream,
        EventDecoder(stream, IDS, Place(0, 1), settings),
        Limits(9, settings.max_text, settings.max_message_bytes),
    )
    return admission.take(json.dumps([EVENT | {"id": f"a{number}"} for number in range(count)]).encode())[0]


def _answer(partials: Partials, publisher: Publisher, count: int = 1) -> list[Answer]:
    async def run() -> list[Answer]:
        return await _answering(partials, publisher).answer(_admitted(count))

    return asyncio.run(run())


def test_each_event_is_answered_and_published_in_order() -> None:
    """Answers and records are in the order of the events, and each record's header holds its answer."""
    publisher = Publisher()
    answers = _answer(Partials(), publisher, 3)
    assert [answer.id for answer in answers] == ["a0", "a1", "a2"]
    assert [answer.place.offset for answer in answers] == [0, 1, 2]
    for answer, record in zip(answers, publisher.sent, strict=True):
        ((name, said),) = record.headers
        expected = {"model": "line", "version": 7, "score": answer.score, "reads": []}
        assert (name, json.loads(said)) == (ANSWER, expected)
    assert answers[0].features == {"size": 2.0, "worth": 0.0, "busy": 0}


def test_without_redis_nothing_is_answered_or_published() -> None:
    """An answer without features would look like any other: there is none, and nothing is in the log."""
    publisher = Publisher()
    with pytest.raises(UnavailableError, match="Redis is away"):
        _answer(Partials(away=True), publisher)
    assert publisher.sent == []


def test_without_kafka_there_is_no_answer() -> None:
    """When one of several events is not in the log, the caller is told, after all were waited for."""
    publisher = Publisher(lambda number: number == 1)
    with pytest.raises(UnavailableError, match="Kafka is away"):
        _answer(Partials(), publisher, 3)
    assert len(publisher.sent) == 3


def test_a_full_queue_stops_a_batch() -> None:
    """When the client takes nothing more, what it has taken is waited for, and the caller is told."""

    class Full(Publisher):
        def publish(self, record: Outgoing) -> asyncio.Future[Receipt]:
            if len(self.sent) == 2:
                raise UnavailableError("the queue is full")
            return super().publish(record)

    publisher = Full()

    async def run() -> None:
        await publish_all(publisher, [each.record for each in _admitted(4)])

    with pytest.raises(UnavailableError, match="the queue is full"):
        asyncio.run(run())
    assert len(publisher.sent) == 2


def test_a_new_champion_is_taken_over() -> None:
    """The model, its version and what explains it are those of the models that are current."""
    models = [build_models(PIPELINE.models, PIPELINE.task).learners for _ in range(2)]
    models[1][0].learn({"size": 1.0}, 1.0)
    current = [PinnedModels(models[0], [0])]
    champion = Champion(lambda: current[0])
    _, version, explain = champion.take()
    assert explain is not None
    assert (version, explain({"size": 1.0})) == (0, {"(intercept)": 0.0})
    current[0] = PinnedModels(models[1], [1])
    _, version, explain = champion.take()
    assert explain is not None
    assert version == 1
    assert "size" in explain({"size": 1.0})


def _asked(answer: Callable[[Request], NoReturn]) -> tuple[int, dict[str, str], Any]:
    """Ask a shortcut whose answer fails."""

    async def failing(request: Request) -> Response:
        answer(request)

    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    async def never(scope: object, receive: object, send: object) -> None:
        raise AssertionError

    async def run() -> None:
        scope = {"type": "http", "method": "POST", "path": "/p", "headers": []}
        await Shortcut(never, {"/p": failing})(scope, receive, send)

    # It goes on to whoever logs it, after the answer.
    with contextlib.suppress(ZeroDivisionError):
        asyncio.run(run())
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return messages[0]["status"], headers, json.loads(messages[1]["body"])


def test_failures_are_problems(caplog: pytest.LogCaptureFixture) -> None:
    """What is away is a 503 that says when to ask again; what is our fault a 500 that says nothing of the inside."""

    def away(request: Request) -> NoReturn:
        raise UnavailableError("Redis is away", hint="wait")

    def wrong(request: Request) -> NoReturn:
        raise Problem(ProblemKind.REFUSED, "no", members={"reason": "rule"})

    def ours(request: Request) -> NoReturn:
        raise ZeroDivisionError("secret of the inside")

    status, headers, document = _asked(away)
    assert (status, headers["retry-after"], document["detail"]) == (503, "1", "Redis is away (wait)")
    status, headers, document = _asked(wrong)
    assert (status, headers["content-type"], document["reason"]) == (422, "application/problem+json", "rule")
    status, _, document = _asked(ours)
    assert (status, document["type"]) == (500, "urn:riverrun:problem:internal-error")
    assert "inside" not in json.dumps(document)
    assert "secret of the inside" in caplog.text


def test_other_paths_are_passed_on() -> None:
    """A shortcut answers its own path and method alone."""
    passed: list[str] = []

    async def app(scope: Any, receive: object, send: object) -> None:
        passed.append(f"{scope['method']} {scope['path']}")

    async def answer(request: Request) -> Response:
        raise AssertionError

    async def nothing(message: Message | None = None) -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    async def run() -> None:
        shortcut = Shortcut(app, {"/p": answer})
        for method, path in (("GET", "/p"), ("POST", "/p/"), ("POST", "/q")):
            await shortcut({"type": "http", "method": method, "path": path, "headers": []}, nothing, send)

    asyncio.run(run())
    assert passed == ["GET /p", "POST /p/", "POST /q"]


def test_usage_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program says how it is called, and what is wrong with a setting."""
    assert run_gateway([]) == 2
    assert capsys.readouterr().err == "usage: python -m services.gateway FILE\n"
    monkeypatch.setenv("RIVERRUN_GATEWAY_PORT", "http")
    assert run_gateway([str(tmp_path / "none.py")]) == 2
    assert "RIVERRUN_GATEWAY_PORT is 'http'" in capsys.readouterr().err
