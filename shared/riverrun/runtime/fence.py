"""Takes a partition over: fences every earlier holder of any stage in the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from riverrun.records.items import Progress
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.history import CLAIM, SEEN, History
from riverrun.runtime.ports import LogUnavailableError, Writer
from riverrun.runtime.stage import StageDefinition


class Taken(NamedTuple):
    """A partition that was taken over.

    Parameters
    ----------
    writer
        Opened, with the transactional id of the chain's first stage.
    history
        All that was committed by whoever was fenced, as far back as each stage's last commit record.
    ends
        An end of each partition that the stages write to, which all that was committed there lies below.
    """

    writer: Writer
    history: History
    ends: Mapping[tuple[str, int], int]


def fence(deployment: Deployment, definitions: Sequence[StageDefinition], partition: int) -> Taken:
    """Open the chain's writer, and fence all ids under which its stages may still be written.

    These are the ids of the chain's stages on their own, and the id that each stage's last commit record names:
    it may have been part of another chain then. Such a chain may have been opened and have committed nothing so far;
    so whoever opens one commits *claims* first: records that name the stages and its own id. If another claim or
    commit came in between, its id is fenced too, and the claim made again: of two chains that share a stage, each
    sees the other's claim unless it came later, and then the other sees its own. An id that was fenced before is fenced
    again: who claims or commits under it has opened it since.

    The claim is a barrier too. Whoever was fenced committed before it, so the commit records are read until it is
    there: a broker that is cut off from the others may be asked for their end, and not know it. For the same reason the
    ends of the outputs are confirmed by their leaders.

    Tails may be read only after this returns, and as far as these ends.

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
        self._definitions = definitions
        self._names = [definition.name for definition in definitions]
        self._own = deployment.transactional_id(self._names[0], partition)

    def build(self) -> Taken:
        writer = self._open(self._own)
        with ExitStack() as undo:
            # What it failed with keeps it alive otherwise, with its connections and an open transaction.
            undo.callback(writer.close)
            taken = self._take(writer)
            undo.pop_all()
        return taken

    def _take(self, writer: Writer) -> Taken:
        self._exclude({self._deployment.transactional_id(name, self._partition) for name in self._names})
        history = self._history()
        fenced = self._exclude(history.holders())
        while True:
            # What they have committed until they were fenced is read before anything is claimed.
            seen, claims = history.end, not fenced
            history.follow(reaching=self._claim(writer, seen) if claims else 0)
            fenced = self._exclude(history.holders(since=seen))
            if claims and not fenced:
                return Taken(writer, history, writer.confirmed_ends(self._outputs()))

    def _open(self, transactional_id: str) -> Writer:
        writer = self._deployment.log.writer(transactional_id)
        writer.open()
        return writer

    def _exclude(self, transactional_ids: set[str]) -> bool:
        """Fence these ids, but for its own; return whether there were any."""
        others = transactional_ids - {self._own, ""}
        for transactional_id in sorted(others):
            self._open(transactional_id).close()
        return bool(others)

    def _history(self) -> History:
        deployment = self._deployment
        topic = deployment.topology.names[Kind.PROGRESS]
        return History(deployment.log, deployment.wire, (topic, self._partition), self._names)

    def _outputs(self) -> list[tuple[str, int]]:
        deployment, partition = self._deployment, self._partition
        return sorted({place for each in self._definitions for place in deployment.outputs(each, partition)})

    def _claim(self, writer: Writer, seen: int) -> int:
        """Commit the claims, all others below ``seen`` being fenced; return an offset that the records reach since."""
        deployment = self._deployment
        topic = deployment.topology.names[Kind.PROGRESS]
        writer.begin()
        for name in self._names:
            claim = Progress(CLAIM + name, self._partition, (), {}, {SEEN: seen}, 0, {}, self._own)
            key, value = deployment.wire.encode_progress(claim)
            writer.send(topic, self._partition, key, value, ())
        writer.commit({}, deployment.group(self._names[0]))
        offset = writer.first_offset(topic, self._partition)
        if offset < 0:
            raise LogUnavailableError(f"where in {topic}[{self._partition}] the claim was written is not known")
        return offset + len(self._names)
