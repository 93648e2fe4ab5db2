"""The small pipeline in memory with everything that watches it, and small programs to speak HTTP with."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from riverrun.runtime.deployment import Clocks, Deployment
from riverrun.runtime.observer import Observer
from riverrun.runtime.tracing import Tracing
from riverrun.runtime.worker import Worker
from riverrun.testing.small_world import layout_of
from tests.runtime.worlds import ALL_IN_ONE, MemoryWorld

WALL = 1_700_000_000.0
"""What the wall clock of a watched world shows at first, in seconds since the epoch."""


class Watched(NamedTuple):
    """A member, and what it works with."""

    worker: Worker
    deployment: Deployment


def watched(
    world: MemoryWorld, layout: str = ALL_IN_ONE, *, tracing: Tracing | None = None, batch_limit: int = 2_000
) -> Watched:
    """Start a member whose clocks both follow the world's."""
    clocks = Clocks(lambda: world.memory.now / 1000, lambda: WALL + world.memory.now / 1000)
    deployment = replace(world.deployment(batch_limit=batch_limit), clocks=clocks, observer=Observer(tracing=tracing))
    worker = Worker(deployment, world.small.chains(layout_of(layout)))
    worker.join()
    return Watched(worker, deployment)


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The JSON document in it."""
        return json.loads(self.body)


def ask(url: str, method: str = "GET") -> Answer:
    """Ask a server on this machine."""
    request = urllib.request.Request(url, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as reply:
            return Answer(reply.status, dict(reply.headers), reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())
