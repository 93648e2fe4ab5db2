"""Lets Faust begin within a second: it would wait for seconds here and there, for what need not be waited for."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from faust.tables import TableManager
from faust.transport.drivers.aiokafka import Consumer
from mode.utils.queues import ThrowableQueue

__all__ = ["PromptConsumer", "PromptTables"]

_PATIENCE_S: Final = 0.2
_NOTHING_TO_READ_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.05


class _PromptQueue(ThrowableQueue[Any]):
    """A queue that gives up waiting sooner than whoever waits."""

    async def get(self) -> Any:
        """Return the next event.

        Raises
        ------
        TimeoutError
            If none comes in time.
        """
        return await asyncio.wait_for(super().get(), _PATIENCE_S)


class PromptTables(TableManager):
    """Faust's manager of tables, with less patience at the end of a changelog.

    A changelog that is written in transactions ends with a marker, so Faust never sees its last offset: it takes it as
    read when nothing has come for two times five seconds. Here two times a fifth of a second are enough. Should the
    tables then lack what was on its way, nothing is lost: the fold goes on from the position that its state has.
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._queue: _PromptQueue | None = None

    async def sleep(self, n: object) -> None:
        """Do not wait: Faust gives a program a second in which to declare its tables, and ours are declared."""
        del n

    @property
    def changelog_queue(self) -> ThrowableQueue[Any]:
        """What buffers the changelogs' events."""
        if self._queue is None:
            size = self.app.conf.stream_buffer_maxsize
            self._queue = _PromptQueue(maxsize=size, flow_control=self.app.flow_control, clear_on_resume=True)
        return self._queue


class PromptConsumer(Consumer):
    """Faust's consumer, which between the tables and the stream has nothing to read, and sleeps for a second then."""

    async def sleep(self, n: Any) -> None:
        """Wait so many seconds; where that is one, look again at once: the stream comes when the tables are read."""
        await super().sleep(n if n < _NOTHING_TO_READ_S else _LOOK_AGAIN_S)
