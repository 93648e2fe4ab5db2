"""Sends requests at a fixed rate, or as fast as they are answered; a program of its own, told by JSON on its input.

At a fixed rate a request is due at its time, whether those before it were answered or not, and its latency counts from
then: a server that stalls is not asked less, and pays for every request that it kept waiting. Everything is plain bytes
on kept connections, so that the generator takes as little as possible of the machine that it measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Final, cast

import uvloop

from benchmarks.percentiles import percentile

_CONNECTIONS: Final = 32
_DRAIN_S: Final = 10.0
_TICK_S: Final = 0.0005


@dataclass(frozen=True, slots=True)
class Load:
    """What to send.

    Parameters
    ----------
    port
        Of the server, on this machine.
    path, key
        Of the request.
    rate
        Requests a second; 0 for as fast as they are answered, on all connections.
    seconds, warm_up
        How long to measure, and how long to send before that.
    """

    port: int
    path: str
    key: str
    rate: float
    seconds: float
    warm_up: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; latencies in milliseconds."""

    per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    worst_ms: float
    requests: int
    errors: int


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._transport: asyncio.WriteTransport | None = None
        self._due = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        at = self._received.lower().find(b"content-length:")
        length = int(self._received[at + 15 : self._received.find(b"\r\n", at)])
        if len(self._received) < head_end + 4 + length:
            return
        good = self._received.startswith(b"HTTP/1.1 200")
        self._received = b""
        self._generator.answered(self, self._due, good=good)


class Generator:
    """Sends, and keeps the latencies."""

    def __init__(self, load: Load) -> None:
        self._load = load
        # The longest idle goes first: who is left alone for some seconds is hung up on, and rightly.
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[float] = deque()
        self._latencies: list[float] = []
        self._begin = 0.0
        self._end = 0.0
        self._errors = 0
        self._open = 0
        self._number = 0
        self._drained = asyncio.Event()
        rng = random.Random(1)
        head = f"POST {load.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {load.key}\r\n"
        self._requests = [_request(head, rng) for _ in range(2_000)]

    async def run(self) -> Outcome:
        """Send for as long as the load says."""
        loop = asyncio.get_running_loop()
        for _ in range(_CONNECTIONS):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._load.port)
            self._idle.append(connection)
        start = time.perf_counter()
        self._begin = start + self._load.warm_up
        self._end = self._begin + self._load.seconds
        if self._load.rate:
            await self._at_rate(start)
        else:
            for connection in self._idle:
                self._send(connection, time.perf_counter())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._end - time.perf_counter()) + _DRAIN_S):
                await self._drained.wait()
        return self._outcome()

    async def _at_rate(self, start: float) -> None:
        sent, rate = 0, self._load.rate
        while (now := time.perf_counter()) < self._end:
            while sent < (now - start) * rate:
                due = start + sent / rate
                sent += 1
                if self._idle:
                    self._send(self._idle.popleft(), due)
                else:
                    self._waiting.append(due)
            await asyncio.sleep(_TICK_S)

    def _send(self, connection: _Connection, due: float) -> None:
        self._open += 1
        self._number += 1
        connection.send(self._requests[self._number % len(self._requests)], due)

    def answered(self, connection: _Connection, due: float, *, good: bool) -> None:
        """Note an answer, and give the connection what is due."""
        now = time.perf_counter()
        self._open -= 1
        if self._begin <= due < self._end:
            self._latencies.append((now - due) * 1000)
            self._errors += not good
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        elif self._load.rate:
            self._idle.append(connection)
        elif now < self._end:
            self._send(connection, now)
        if not self._open and now >= self._end:
            self._drained.set()

    def _outcome(self) -> Outcome:
        found = self._latencies
        return Outcome(
            per_s=round(len(found) / self._load.seconds, 1),
            p50_ms=round(percentile(found, 0.5), 3),
            p90_ms=round(percentile(found, 0.9), 3),
            p99_ms=round(percentile(found, 0.99), 3),
            worst_ms=round(max(found), 3),
            requests=len(found),
            errors=self._errors + self._open + len(self._waiting),
        )


def _request(head: str, rng: random.Random) -> bytes:
    event = {
        "user": f"u{rng.randrange(500)}",
        "shop": f"s{rng.randrange(50)}",
        "amount": round(rng.uniform(1, 200), 2),
        "items": float(rng.randrange(1, 9)),
        "discount": round(rng.random(), 2),
        "distance": round(rng.uniform(0, 50), 1),
    }
    body = json.dumps(event)
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def _run(load: Load) -> Outcome:
    return await Generator(load).run()


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_run(Load(**json.load(sys.stdin)))))))
