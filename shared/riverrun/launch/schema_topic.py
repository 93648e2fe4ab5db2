"""Keeps a pipeline's schema ids where every process finds them: a local file and the compacted ``schemas`` topic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from riverrun.records.ids import Entry, ManifestIds, entry_from_json, entry_to_json
from riverrun.runtime.ports import Log

Publish = Callable[[Sequence[tuple[bytes, bytes]]], None]
"""Appends keys and values to the ``schemas`` topic and returns when all are stored."""


class SchemaLedger:
    """Reads and appends manifest entries.

    Parameters
    ----------
    file
        Append-only file of JSON lines, one an entry.
    publish
        Appends to the topic.
    """

    def __init__(self, file: Path, publish: Publish) -> None:
        self._file = file
        self._publish = publish
        self._lock = threading.Lock()

    def entries(self, log: Log, topic: str) -> list[Entry]:
        """Return what the topic and the file hold."""
        found: dict[tuple[str, int], Entry] = {}
        for record in log.tail(topic, 0, 1 << 40):
            if record.value is not None:
                entry = entry_from_json(record.value)
                found[entry.subject, entry.id] = entry
        # The topic was lost or is new: the file still knows what old records mean.
        lost = {place: entry for place, entry in self._kept().items() if place not in found}
        if lost:
            # All at once: a first start waits for the broker's answer one time, not for each.
            self._publish([_pair(entry) for entry in lost.values()])
        return [*found.values(), *lost.values()]

    def _kept(self) -> dict[tuple[str, int], Entry]:
        """Return what the file holds."""
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        return {(entry.subject, entry.id): entry for entry in map(entry_from_json, lines)}

    def append(self, entry: Entry) -> None:
        """Keep a new entry in the topic, then in the file."""
        with self._lock:
            self._publish([_pair(entry)])
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(entry_to_json(entry) + "\n")


def _pair(entry: Entry) -> tuple[bytes, bytes]:
    return f"{entry.subject}/{entry.id}".encode(), entry_to_json(entry).encode()


def manifest_ids(fixed: list[Entry], ledger: SchemaLedger, log: Log, topic: str) -> ManifestIds:
    """Return schema ids backed by the committed manifest and the ledger."""
    return ManifestIds(fixed, ledger.entries(log, topic), ledger.append)
