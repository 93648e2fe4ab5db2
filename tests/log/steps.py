"""What tests of the log do over and over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from riverrun.runtime.ports import Log, Reader, Record, Writer
from tests.log.worlds import until

HELD_BACK_S = 0.01
MakeTopic = Callable[[int], str]
MakeWriter = Callable[[str], Writer]
MakeReader = Callable[..., Reader]
MakeList = Callable[..., list[Record]]


def begin(writer: Writer, topic: str, values: Iterable[bytes], partition: int = 0) -> None:
    writer.begin()
    # Right after another transaction, it may hold back what it is given.
    time.sleep(HELD_BACK_S)
    for value in values:
        writer.send(topic, partition, None, value, ())


def write(writer: Writer, topic: str, values: Iterable[bytes], partition: int = 0) -> None:
    begin(writer, topic, values, partition)
    writer.commit({}, "unused")


def reached(log: Log, topic: str, high_watermark: int) -> None:
    until(lambda: log.high_watermark(topic, 0) >= high_watermark, "the records in the log")


def values(records: Iterable[Record]) -> list[bytes | None]:
    return [record.value for record in records]
