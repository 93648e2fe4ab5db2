"""Reads the broker's own files: after a writer was fenced, nothing of it may follow (I9).

Consumers do not see who wrote a record. The files do: each batch has its producer's id and epoch, and whoever takes a
transactional id over raises the epoch.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from chaos.findings import Finding, Sort
from riverrun.embedded import EmbeddedKafka

__all__ = ["fenced_writes"]

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
"""The head of a batch, by Kafka's protocol guide: offset, length, leader's epoch, magic, checksum, attributes, last
offset's and first and last times', producer's id and epoch, first sequence number, count."""

_LENGTH_AT: Final = 12
_NOBODY: Final = -1


class _Batch(NamedTuple):
    offset: int
    at_ms: int
    producer: int
    epoch: int


def fenced_writes(brokers: Iterable[EmbeddedKafka], pipeline: str) -> Iterator[Finding]:
    """Check every partition of a pipeline's own topics, as each broker has it."""
    for broker in brokers:
        for folder in sorted((broker.folder / "data").glob(f"{pipeline}.*")):
            yield from _epochs(folder)


def _epochs(folder: Path) -> Iterator[Finding]:
    newest: dict[int, int] = {}
    for segment in sorted(folder.glob("*.log")):
        for batch in _batches(segment.read_bytes()):
            if batch.producer == _NOBODY:
                continue
            epoch = newest.get(batch.producer, _NOBODY)
            if batch.epoch < epoch:
                text = (
                    f"{folder.name} at offset {batch.offset}: producer {batch.producer} wrote in epoch {batch.epoch} "
                    f"after {epoch}: it had been fenced"
                )
                yield Finding(Sort.WRONG, text, batch.at_ms)
            newest[batch.producer] = max(epoch, batch.epoch)


def _batches(data: bytes) -> Iterator[_Batch]:
    at = 0
    while at + _HEADER.size <= len(data):
        fields = _HEADER.unpack_from(data, at)
        offset, length, last_ms, producer, epoch = fields[0], fields[1], fields[8], fields[9], fields[10]
        if length <= 0:
            # Room that was allotted and is not used yet.
            return
        yield _Batch(offset, last_ms, producer, epoch)
        at += _LENGTH_AT + length
