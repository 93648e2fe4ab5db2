"""Lets Faust notice within a second that its tables are read, where it takes ten."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from faust.tables import TableManager
from mode.utils.queues import ThrowableQueue

__all__ = ["PromptTables"]

_PATIENCE_S: Final = 0.4


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
    read when nothing has come for two times five seconds. Here two times less than half a second are enough. Should the
    tables then lack what was on its way, nothing is lost: the fold goes on from the position that its state has.
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._queue: _PromptQueue | None = None

    @property
    def changelog_queue(self) -> ThrowableQueue[Any]:
        """What buffers the changelogs' events."""
        if self._queue is None:
            size = self.app.conf.stream_buffer_maxsize
            self._queue = _PromptQueue(maxsize=size, flow_control=self.app.flow_control, clear_on_resume=True)
        return self._queue
