"""Following the alerts live: as long as the key is valid, and no more followers than are allowed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Message

from riverrun.api_keys import KeyChecker, KeyFile
from riverrun.api_keys import Scope as KeyScope
from riverrun.runtime.ports import Record
from services.gateway import gate
from services.gateway.gate import Gate, Tally
from services.gateway.parts import Parts
from services.gateway.problems import handle
from services.gateway.routes import alerts, following
from services.gateway.settings import GatewaySettings
from services.gateway.views import AlertsView
from tests.gateway.world import made_alert
from tests.records.made import codecs_of

PATIENCE_S = 20.0
PAUSE_S = 0.01


class Follower:
    """A request to follow, and what it was answered."""

    def __init__(self, world: World, *, is_deaf: bool = False) -> None:
        self.status = 0
        self.text = ""
        self.is_over = False
        self._is_deaf = is_deaf
        self._asked = False
        self._gone = asyncio.Event()
        self.task = asyncio.create_task(world.follow(self.receive, self.send))

    async def receive(self) -> Message:
        """Give the request's empty body, then wait until it has gone."""
        if self._asked:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Take a part of the answer."""
        if self._is_deaf:
            raise OSError("it went away")
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message["body"].decode()
            self.is_over = not message.get("more_body", False)

    async def leave(self) -> None:
        """Hang up."""
        self._gone.set()
        await self.task


class World:
    """A gate before the routes of alerts, and what the view behind them is told."""

    def __init__(self, folder: Path, max_live: int = 64) -> None:
        self.codecs = codecs_of()
        self.view = AlertsView(self.codecs)
        self.file = KeyFile(folder / "keys.json")
        self.key = self.file.make("one", [KeyScope.READ], now=1)
        settings = GatewaySettings(max_live=max_live)
        pipeline = SimpleNamespace(name="p", alert_routes=[])
        parts = SimpleNamespace(
            alerts=self.view,
            settings=settings,
            pipeline=pipeline,
            allowed_hosts=frozenset(),
            check=lambda name: None,
        )
        app = FastAPI()
        app.include_router(alerts.routes(cast("Parts", parts)))
        app.add_exception_handler(HTTPException, handle)
        self._gate = Gate(app, KeyChecker(self.file), settings, Tally())
        self._told = 0

    async def follow(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Ask for the alerts."""
        headers = [(b"authorization", b"Bearer " + self.key.encode())]
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/v1/pipelines/p/alerts/live"}
        scope |= {"query_string": b"", "headers": headers, "client": None, "asgi": {"spec_version": "2.3"}}
        await self._gate(scope, receive, send)

    def tell(self, name: str) -> None:
        """Let the view hear of an alert."""
        self.view.offer(Record("a", 0, self._told, 1, b"k", self.codecs.encode(made_alert(name)), ()))
        self._told += 1


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(int(PATIENCE_S / PAUSE_S)):
        if holds():
            return
        await asyncio.sleep(PAUSE_S)
    raise AssertionError(f"not within {PATIENCE_S} s")


def test_a_stream_ends_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told after a key was revoked, no follower with that key hears; the stream ends as streams do."""
    monkeypatch.setattr(gate, "_REFRESH_S", 0.0)

    async def run() -> None:
        world = World(tmp_path)
        follower = Follower(world)
        await until(lambda: world.view.listeners == 1)
        world.tell("first")
        await until(lambda: "first" in follower.text)
        world.file.revoke(world.key.split(".")[1], now=2)
        world.tell("second")
        await until(lambda: follower.is_over)
        assert "second" not in follower.text
        await follower.task
        assert world.view.listeners == 0

    asyncio.run(run())


def test_a_silent_stream_ends_with_its_key_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an alert it is noticed with the next sign of life, be the key revoked or its time over."""
    monkeypatch.setattr(gate, "_REFRESH_S", 0.0)
    monkeypatch.setattr(following, "_HEARTBEAT_S", 0.02)

    async def run() -> None:
        world = World(tmp_path)
        lasting = Follower(world)
        await until(lambda: lasting.text.count(": still here") > 2)
        soon = time.time_ns() // 1_000_000 + 500
        lasting_key, world.key = world.key, world.file.make("short", [KeyScope.READ], now=1, expires=soon)
        passing = Follower(world)
        await until(lambda: passing.status == 200)
        await until(lambda: passing.is_over)
        assert time.time_ns() // 1_000_000 >= soon
        assert not lasting.is_over
        world.file.revoke(lasting_key.split(".")[1], now=2)
        await until(lambda: lasting.is_over)
        await asyncio.gather(lasting.task, passing.task)

    asyncio.run(run())


def test_a_burst_of_followers_is_held_to_the_limit(tmp_path: Path) -> None:
    """Of many that ask in the same moment only so many may follow; when one goes there is room for another."""

    async def run() -> None:
        world = World(tmp_path, max_live=2)
        burst = [Follower(world) for _ in range(5)]
        await until(lambda: all(each.status for each in burst))
        assert sorted(each.status for each in burst) == [200, 200, 503, 503, 503]
        assert world.view.listeners == 2
        await next(each for each in burst if each.status == 200).leave()
        another = Follower(world)
        await until(lambda: another.status == 200)
        for each in (*burst, another):
            await each.leave()
        assert world.view.listeners == 0

    asyncio.run(run())


def test_who_went_away_before_the_answer_takes_no_place(tmp_path: Path) -> None:
    """A stream that never begins is left as one that has ended."""

    async def run() -> None:
        world = World(tmp_path, max_live=1)
        gone = Follower(world, is_deaf=True)
        await asyncio.wait([gone.task])
        assert gone.task.exception() is not None
        assert world.view.listeners == 0

    asyncio.run(run())
