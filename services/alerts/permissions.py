"""Looks at the start whether Faust may do what it will do: where it may not, it breaks down in many words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from riverrun.runtime.ports import Log

__all__ = ["check_permissions"]

_LOOK_S: Final = 1.0


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
            reader.poll(1, _LOOK_S)
        finally:
            reader.close()
    # Under a name of its own: another process may be at work under the one that counts.
    writer = log.writer(f"{name}.check")
    try:
        writer.open()
    finally:
        writer.close()
