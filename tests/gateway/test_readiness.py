"""Whether the gateway is ready is asked by anybody, and looked up once a moment."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis

from services.gateway import readiness
from services.gateway.readiness import RememberedReadiness
from tests.gateway.world import GatewayWorld


class Looked:
    """What counts how often it was looked up, and can be made to wait or fail."""

    def __init__(self) -> None:
        self.count = 0
        self.found: dict[str, str] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.fails = False

    async def troubles(self) -> dict[str, str]:
        """Return what is wrong."""
        self.count += 1
        await self.open.wait()
        if self.fails:
            raise RuntimeError("nobody expects this")
        return self.found


def test_however_many_ask_it_is_looked_up_once() -> None:
    """Those who ask while it is being looked up, and shortly after, get the same answer, and no more work is done."""

    async def run() -> None:
        looked = Looked()
        looked.open.clear()
        remembered = RememberedReadiness(looked)
        asked = [asyncio.create_task(remembered.troubles()) for _ in range(100)]
        await asyncio.sleep(0)
        looked.open.set()
        assert await asyncio.gather(*asked) == [{}] * 100
        looked.found = {"redis": "away"}
        assert await remembered.troubles() == {}
        assert looked.count == 1

    asyncio.run(run())


def test_what_changes_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment it is looked up anew; one who goes away takes the answer from nobody; an error is not kept."""
    monkeypatch.setattr(readiness, "_REMEMBERED_S", 0.05)

    async def run() -> None:
        looked = Looked()
        remembered = RememberedReadiness(looked)
        assert await remembered.troubles() == {}
        looked.found = {"redis": "away"}
        await asyncio.sleep(0.06)
        assert await remembered.troubles() == {"redis": "away"}
        await asyncio.sleep(0.06)
        looked.open.clear()
        gone, staying = (asyncio.create_task(remembered.troubles()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        looked.open.set()
        assert await staying == {"redis": "away"}
        assert looked.count == 3
        await asyncio.sleep(0.06)
        looked.fails = True
        with pytest.raises(RuntimeError):
            await remembered.troubles()
        looked.fails = False
        assert await remembered.troubles() == {"redis": "away"}

    asyncio.run(run())


def test_the_gateway_remembers(world: GatewayWorld) -> None:
    """A hundred questions without a key cost Redis next to nothing."""
    with redis.Redis.from_url(world.addresses.redis_url) as client:

        def pings() -> int:
            found = client.info("commandstats").get("cmdstat_ping", {"calls": 0})
            return int(found["calls"])

        before, began = pings(), time.monotonic()
        for _ in range(100):
            assert world.ask("GET", "/health/ready", key="none").status == 200
        assert pings() - before <= 2 + time.monotonic() - began
