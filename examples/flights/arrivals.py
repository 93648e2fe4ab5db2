"""What a consumer sees: when each record can be read, and when it was appended."""

from __future__ import annotations

import threading
import time

from riverrun.runtime.ports import Log

_WAIT_S = 0.05
_BATCH = 1_000


class Watch:
    """Notes when each record of a topic can be read, from the moment the watch is made on.

    Both ends are on this machine's clock: timestamps of the producers' topics are those of the broker's append, and a
    record counts as there when a read-committed consumer has it, hence after its commit.

    Parameters
    ----------
    log
        The broker.
    topic
        What is watched, of one partition.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self.seen: list[tuple[float, bytes, bytes]] = []
        self._reader = log.reader(topic, 0, log.high_watermark(topic, 0))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            records = self._reader.poll(_BATCH, _WAIT_S)
            now = time.time() * 1000
            self.seen += [(now, record.key or b"", record.value or b"") for record in records]

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()
        self._reader.close()


def appended(log: Log, topic: str, offset: int) -> dict[bytes, int]:
    """Return when the first record of each key was appended, in milliseconds, from an offset on."""
    reader = log.reader(topic, 0, offset)
    found: dict[bytes, int] = {}
    try:
        while not reader.at_end:
            for record in reader.poll(_BATCH, _WAIT_S):
                found.setdefault(record.key or b"", record.timestamp)
    finally:
        reader.close()
    return found
