"""Lets Faust begin soon, and with all of its tables: by itself it waits here and there, and not for these."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from faust.tables import TableManager
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer

from riverrun.runtime.ports import Log

__all__ = ["PromptConsumer", "PromptTables", "visible_end"]

_NOTHING_TO_READ_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.05
_HELD_MS: Final = 100
"""How long a broker may hold a fetch that finds nothing.

Faust lets it for a second and a half. One that asks for more of a changelog is under way when the stream begins, and
the broker is not asked for the stream before it has been answered.
"""
_HELD_NAME: Final = "_fetch_max_wait_ms"
"""What aiokafka's consumer calls it. Faust has no setting for it."""


def visible_end(log: Log, topic: str, partition: int) -> int:
    """Return the offset after the last record that a consumer is shown, or of the first to come where there is none."""
    last = log.tail(topic, partition, 1)
    return last[-1].offset + 1 if last else log.start_offset(topic, partition)


class PromptTables(TableManager):
    """Faust's manager of tables, which does not wait for a program to declare them."""

    async def sleep(self, n: object) -> None:
        """Do not wait: Faust gives a program a second for that, and ours are declared."""
        del n


class _PromptThread(AIOKafkaConsumerThread):
    """Faust's thread with the client in it, which waits less long for a broker that has nothing."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        vars(consumer)[_HELD_NAME] = _HELD_MS
        return consumer


class PromptConsumer(Consumer):
    """Faust's consumer, which knows where the changelogs end, and looks again at once for what there is to read.

    Faust asks the client for the last stable offset, which one that has fetched nothing yet does not know, and then
    takes the tables as read that it has not begun to read. Where it is known, it lies behind the marker of the last
    transaction, which no consumer sees: then the tables are taken as read when nothing has come for ten seconds. What
    is asked for here is the place behind the last record that can be seen: that one comes, and ends the reading.

    Attributes
    ----------
    end_of
        Returns that place for a topic's partition; may block.
    """

    end_of: ClassVar[Callable[[str, int], int]]

    @classmethod
    def knowing(cls, end_of: Callable[[str, int], int]) -> type[PromptConsumer]:
        """Return the class with this way to ask."""
        return type(cls.__name__, (cls,), {"end_of": staticmethod(end_of)})

    async def highwaters(self, *partitions: Any) -> Mapping[Any, int]:
        """Return the place behind the last record of each partition."""
        loop, ask = asyncio.get_running_loop(), type(self).end_of
        ends = [loop.run_in_executor(None, ask, place.topic, place.partition) for place in partitions]
        return dict(zip(partitions, await asyncio.gather(*ends), strict=True))

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _PromptThread(self, loop=self.loop, beacon=self.beacon)

    async def sleep(self, n: Any) -> None:
        """Wait so many seconds; where that is one, look again at once: the stream comes when the tables are read."""
        await super().sleep(n if n < _NOTHING_TO_READ_S else _LOOK_AGAIN_S)
