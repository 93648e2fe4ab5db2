"""Takes a partition over: fences every earlier holder of any stage in the chain."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.history import History
from riverrun.runtime.ports import Writer
from riverrun.runtime.stage import StageDefinition


def fence(deployment: Deployment, definitions: Sequence[StageDefinition], partition: int) -> Writer:
    """Open the chain's writer, and fence all ids under which its stages may still be written.

    These are the ids of the chain's stages on their own, and the id that each stage's last commit record names:
    it may have been part of another chain then. Tails may be read only after this returns.

    Returns
    -------
    Writer
        Opened, with the transactional id of the chain's first stage.
    """
    own = deployment.transactional_id(definitions[0].name, partition)
    writer = deployment.log.writer(own)
    writer.open()
    fenced = {own}
    names = [definition.name for definition in definitions]
    pending = {deployment.transactional_id(name, partition) for name in names} - fenced
    topic = deployment.topology.names[Kind.PROGRESS]
    while True:
        for transactional_id in sorted(pending):
            other = deployment.log.writer(transactional_id)
            other.open()
            other.close()
        fenced |= pending
        history = History(deployment.log, deployment.wire, topic, partition, names)
        latest = [history.latest(name) for name in names]
        pending = {progress.transactional_id for progress in latest if progress is not None} - fenced - {""}
        if not pending:
            return writer
