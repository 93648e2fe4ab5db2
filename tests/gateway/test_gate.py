"""The gate by itself: rates, guesses, sizes and what is in work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from riverrun.api_keys import KeyChecker, KeyFile
from riverrun.api_keys import Scope as KeyScope
from services.gateway.gate import OPEN_PATHS, Gate, Tally, read_body
from services.gateway.problems import Problem
from services.gateway.rates import Rates
from services.gateway.settings import GatewaySettings


class Answered:
    """A response, put together from its messages."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.document: Any = None

    async def send(self, message: Message) -> None:
        """Take a part of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message.get("body"):
            self.document = orjson.loads(message["body"])


class World:
    """A gate before an application that says how long the body was."""

    def __init__(self, folder: Path, settings: GatewaySettings | None = None) -> None:
        file = KeyFile(folder / "keys.json")
        self.keys = [file.make(name, [KeyScope.READ], now=1) for name in ("one", "two")]
        self.tally = Tally()
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()
        self.leave.set()
        self.settings = GatewaySettings() if settings is None else settings
        self.gate = Gate(self._app, KeyChecker(file), self.settings, self.tally)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        await self.leave.wait()
        try:
            body = await read_body(receive)
            response = Response(orjson.dumps(len(body)))
        except Problem as problem:
            response = Response(orjson.dumps(problem.detail), problem.kind.status)
        await response(scope, receive, send)

    async def ask(
        self,
        key: int | str = 0,
        parts: Sequence[bytes] = (b"",),
        headers: Sequence[tuple[bytes, bytes]] = (),
        path: str = "/x",
    ) -> Answered:
        """Send a request in parts."""
        text = self.keys[key] if isinstance(key, int) else key
        waiting = list(parts)

        async def receive() -> Message:
            part = waiting.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(waiting)}

        given = [(b"authorization", b"Bearer " + text.encode()), *headers]
        scope = {"type": "http", "method": "POST", "path": path, "headers": given, "client": ("10.0.0.1", 5)}
        answered = Answered()
        await self.gate(scope, receive, answered.send)
        return answered


def test_a_key_has_a_rate(tmp_path: Path) -> None:
    """After its burst a key gets 429 with the time to wait, and another key is not concerned."""

    async def run() -> None:
        world = World(tmp_path, GatewaySettings(rate=1, burst=3))
        assert [(await world.ask(0)).status for _ in range(4)] == [200, 200, 200, 429]
        refused = await world.ask(0)
        assert (refused.headers["retry-after"], refused.headers["content-type"]) == ("1", "application/problem+json")
        assert refused.document["type"] == "urn:riverrun:problem:too-many-requests"
        assert (await world.ask(1)).status == 200

    asyncio.run(run())


def test_an_address_has_few_guesses(tmp_path: Path) -> None:
    """After so many wrong keys from an address there is 429 for more; a right one from there is let in all the same."""

    async def run() -> None:
        world = World(tmp_path, GatewaySettings(guesses=3))
        assert [(await world.ask("wrong")).status for _ in range(5)] == [401, 401, 401, 429, 429]
        assert (await world.ask(0)).status == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("length", "status"), [(b"100", 200), (b"101", 413), (b"-1", 413), (b"1e2", 413), (b"9" * 30, 413), (b"", 413)]
)
def test_an_announced_length_is_held_to_the_limit(tmp_path: Path, length: bytes, status: int) -> None:
    """What says that it is longer, or nothing sensible, is refused."""

    async def run() -> None:
        world = World(tmp_path, GatewaySettings(max_body_bytes=100))
        assert (await world.ask(headers=[(b"content-length", length)])).status == status

    asyncio.run(run())


@given(parts=st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_a_body_in_parts_is_counted(tmp_path_factory: pytest.TempPathFactory, parts: list[int]) -> None:
    """A body is taken whole if it is within the limit, and refused if it is not, however it is cut."""

    async def run() -> None:
        world = World(tmp_path_factory.mktemp("gate"), GatewaySettings(max_body_bytes=100))
        answered = await world.ask(parts=[bytes(part) for part in parts])
        expected = (200, sum(parts)) if sum(parts) <= 100 else (413, "a body may have 100 bytes")
        assert (answered.status, answered.document) == expected

    asyncio.run(run())


def test_only_so_many_are_in_work(tmp_path: Path) -> None:
    """Beyond the limit requests are refused at once; when one has ended another gets in."""

    async def run() -> None:
        world = World(tmp_path, GatewaySettings(max_concurrent=1))
        world.leave.clear()
        first = asyncio.create_task(world.ask())
        await world.entered.wait()
        assert world.tally.in_work == 1
        refused = await world.ask()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        world.leave.set()
        assert (await first).status == 200
        assert (await world.ask()).status == 200
        assert world.tally.by_status == {503: 1, 200: 2}
        assert world.tally.in_work == 0

    asyncio.run(run())


def test_health_is_asked_whatever_is_in_work(tmp_path: Path) -> None:
    """It has no part in the limit of work: it is answered beyond it, and takes no place from others."""

    async def run() -> None:
        world = World(tmp_path, GatewaySettings(max_concurrent=1))
        world.leave.clear()
        waiting = [asyncio.create_task(world.ask("", path=path)) for path in sorted(OPEN_PATHS)]
        await world.entered.wait()
        assert world.tally.in_work == 0
        world.entered.clear()
        waiting.append(asyncio.create_task(world.ask()))
        await world.entered.wait()
        waiting.append(asyncio.create_task(world.ask("", path="/health/live")))
        assert (await world.ask()).status == 503
        world.leave.set()
        assert [(await each).status for each in waiting] == [200] * 4

    asyncio.run(run())


def test_a_caller_that_went_away_has_sent_no_body() -> None:
    """What came of its body is not taken for the whole, nor nothing for an empty one."""

    async def run() -> None:
        for begun in ([], [{"type": "http.request", "body": b"{", "more_body": True}]):
            parts: list[Message] = [*begun, {"type": "http.disconnect"}]

            async def receive(parts: list[Message] = parts) -> Message:
                return parts.pop(0)

            with pytest.raises(Problem, match="went away"):
                await read_body(receive)

    asyncio.run(run())


def test_a_damaged_key_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the key file cannot be read, the keys known so far stay valid, and the operator is told."""

    async def run() -> None:
        world = World(tmp_path)
        (tmp_path / "keys.json").write_text("{", encoding="utf-8")
        assert (await world.ask()).status == 200

    asyncio.run(run())
    assert "the keys known so far stay" in caplog.text


def test_nothing_but_http_gets_in(tmp_path: Path) -> None:
    """A WebSocket never reaches the application."""

    async def run() -> None:
        world = World(tmp_path)

        async def receive() -> Message:
            raise AssertionError

        await world.gate({"type": "websocket", "path": "/x", "headers": []}, receive, Answered().send)
        assert not world.entered.is_set()

    asyncio.run(run())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3)), max_size=60))
def test_no_bucket_gives_more_than_it_has(asked: list[tuple[str, float]]) -> None:
    """In any time, a caller gets at most the burst and what came back meanwhile."""
    rates, now = Rates(rate=2.0, burst=3), 0.0
    passed: dict[str, list[float]] = {"a": [], "b": []}
    for caller, pause in asked:
        now += pause
        if not rates.wait(caller, now):
            passed[caller].append(now)
    for times in passed.values():
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= 3 + (times[last] - start) * 2.0 + 1e-6
