"""Looks at the start whether Faust may do what it will do: where it may not, it breaks down in many words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from riverrun.runtime.ports import Log

__all__ = ["check_permissions"]

_LOOK_S: Final = 10.0
_WAIT_S: Final = 0.2


def check_permissions(log: Log, name: str, topics: Sequence[str]) -> None:
    """Read and begin to write as Faust will.

    Parameters
    ----------
    log
        Where its topics are.
    name
        Its id, with which its transactional ids begin.
    topics
        What it reads.

    Raises
    ------
    AccessDeniedError
        If Kafka does not permit it to this user.
    LogUnavailableError
        If Kafka does not say.
    """
    for topic in topics:
        reader = log.reader(topic, 0, 0)
        try:
            # Until it is told something: that nothing came within a moment would not tell that it may.
            deadline = time.monotonic() + _LOOK_S
            while not reader.poll(1, _WAIT_S) and not reader.at_end and time.monotonic() < deadline:
                pass
        finally:
            reader.close()
    # Under a name of its own: another process may be at work under the one that counts.
    writer = log.writer(f"{name}.check")
    try:
        writer.open()
    finally:
        writer.close()
