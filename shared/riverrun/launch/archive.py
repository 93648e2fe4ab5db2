"""What the gateway reads from the log when it is asked: evaluations, the label ledger, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riverrun.embedded.addresses import Addresses
from riverrun.errors import UnavailableError
from riverrun.launch.letters import Letter, named, newest, send_again
from riverrun.launch.survey import survey
from riverrun.records.items import Evaluation
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

__all__ = ["LogArchive"]


class LogArchive:
    """Reads a pipeline's log anew with each call, in the caller's thread.

    Parameters
    ----------
    deployment
        The pipeline.
    addresses
        Its servers.
    """

    def __init__(self, deployment: Deployment, addresses: Addresses) -> None:
        self._deployment = deployment
        self._addresses = addresses

    def evaluations(self, limit: int) -> list[Evaluation]:
        """Return the newest evaluations, oldest first."""
        deployment = self._deployment
        topic = deployment.topology.names[Kind.EVALUATIONS]
        found = [
            item
            for partition in range(deployment.topology.partitions)
            for record in deployment.log.tail(topic, partition, limit)
            if isinstance(item := deployment.wire.item(record), Evaluation)
        ]
        return sorted(found, key=lambda each: each.position)[-limit:]

    def ledger(self) -> Mapping[str, int]:
        """Return how many predictions there are, and what became of them."""
        return survey(self._deployment).ledger()

    def letters(self, limit: int, reason: str | None) -> list[Letter]:
        """Return excerpts of the newest dead letters of each partition, of one reason or of all."""
        return [
            each
            for partition in range(self._deployment.topology.partitions)
            for each in newest(self._deployment, partition, limit)
            if reason in (None, each.letter.reason)
        ]

    def letter(self, name: str) -> Letter | None:
        """Return one dead letter with all its bytes, or None if there is none of this name."""
        return next(named(self._deployment, [name]), None)

    def replay(self, names: Sequence[str]) -> list[str]:
        """Send dead letters again; return their names.

        Raises
        ------
        KeyError
            If some do not exist: then none is sent. It holds their names.
        UnavailableError
            If Kafka did not take all of them.
        """
        wanted = frozenset(names)
        # Read twice rather than kept: together they may be larger than memory.
        missing = wanted - {each.name for each in named(self._deployment, wanted)}
        if missing:
            raise KeyError(", ".join(sorted(missing)))
        sent = send_again(self._addresses, named(self._deployment, wanted))
        if gone := wanted.difference(sent):
            raise UnavailableError(f"expired meanwhile: {', '.join(sorted(gone))}; the others were sent")
        return sent
