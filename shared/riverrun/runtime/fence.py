"""Takes a partition over: fences every earlier holder of any stage in the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from riverrun.records.items import Progress
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.history import CLAIM, History
from riverrun.runtime.ports import Writer
from riverrun.runtime.stage import StageDefinition


class Taken(NamedTuple):
    """A partition that was taken over.

    Parameters
    ----------
    writer
        Opened, with the transactional id of the chain's first stage.
    history
        All that was committed by whoever was fenced, as far back as each stage's last commit record.
    """

    writer: Writer
    history: History


def fence(deployment: Deployment, definitions: Sequence[StageDefinition], partition: int) -> Taken:
    """Open the chain's writer, and fence all ids under which its stages may still be written.

    These are the ids of the chain's stages on their own, and the id that each stage's last commit record names:
    it may have been part of another chain then. Such a chain may have been opened and have committed nothing so far;
    so whoever opens one commits *claims* first: records that name the stages and its own id. If another claim or
    commit came in between, its id is fenced too, and the claim made again: of two chains that share a stage, each
    sees the other's claim unless it came later, and then the other sees its own.

    Tails may be read only after this returns.

    Returns
    -------
    Taken
        The chain's writer, and what its stages have committed.
    """
    return _Fence(deployment, definitions, partition).build()


class _Fence:
    def __init__(self, deployment: Deployment, definitions: Sequence[StageDefinition], partition: int) -> None:
        self._deployment = deployment
        self._partition = partition
        self._names = [definition.name for definition in definitions]
        self._own = deployment.transactional_id(self._names[0], partition)
        self._fenced: set[str] = {""}

    def build(self) -> Taken:
        writer = self._open(self._own)
        self._exclude({self._deployment.transactional_id(name, self._partition) for name in self._names})
        history = self._history()
        while True:
            if not self._exclude(history.holders()):
                seen = history.end
                self._claim(writer)
                history.follow()
                if not self._exclude(history.holders(since=seen)):
                    return Taken(writer, history)
            # What they have committed until now.
            history.follow()

    def _open(self, transactional_id: str) -> Writer:
        writer = self._deployment.log.writer(transactional_id)
        writer.open()
        self._fenced.add(transactional_id)
        return writer

    def _exclude(self, transactional_ids: set[str]) -> bool:
        """Fence these ids; return whether any was not fenced yet."""
        pending = transactional_ids - self._fenced
        for transactional_id in sorted(pending):
            self._open(transactional_id).close()
        return bool(pending)

    def _history(self) -> History:
        deployment = self._deployment
        topic = deployment.topology.names[Kind.PROGRESS]
        return History(deployment.log, deployment.wire, topic, self._partition, self._names)

    def _claim(self, writer: Writer) -> None:
        deployment = self._deployment
        topic = deployment.topology.names[Kind.PROGRESS]
        writer.begin()
        for name in self._names:
            claim = Progress(CLAIM + name, self._partition, (), {}, {}, 0, {}, self._own)
            key, value = deployment.wire.encode_progress(claim)
            writer.send(topic, self._partition, key, value, ())
        writer.commit({}, deployment.group(self._names[0]))
