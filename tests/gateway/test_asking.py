"""Calls that read the log: a few at a time, each with its own result."""

from __future__ import annotations

import asyncio
import threading

from services.gateway.asking import Asking


def test_only_so_many_run_at_once() -> None:
    """However many ask, no more than the limit run at the same time, and each gets its own result."""
    lock, running, most = threading.Lock(), [0], [0]
    both = threading.Barrier(2)

    def call(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        # Two meet here, or the test fails: they do run side by side.
        both.wait(20)
        with lock:
            running[0] -= 1
        return number * number

    async def run() -> list[int]:
        asking = Asking(2)
        return await asyncio.gather(*[asking.run(call, number) for number in range(12)])

    assert asyncio.run(run()) == [number * number for number in range(12)]
    assert most == [2]
